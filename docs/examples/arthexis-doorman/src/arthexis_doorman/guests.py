"""Let guests authorize with the tag GUEST, and refuse whoever is on the list of lost cards."""

from arthexis import Authorization, hookimpl

LOST = {"04A1B2C3", "DEADBEEF"}


@hookimpl
async def decide_authorization(station, id_tag, starting):
    if id_tag.upper() in LOST:
        return Authorization("Blocked")
    if id_tag.upper() == "GUEST" and not station.id.startswith("STAFF-"):
        return Authorization("Accepted")
    return None
