"""Tell `arthexis why` of firmware that is known to be bad."""

import sqlalchemy as sa

from arthexis import Diagnosis, Finding, hookimpl, station_table

BAD = {"1.0.3": "sends no StopTransaction after a power cut", "1.1.0": "forgets its offline list"}


def look(db, station):
    wanted = sa.select(station_table.c.firmware_version).where(station_table.c.id == station.row)
    version = db.core.execute(wanted).scalar()
    if version in BAD:
        command = f"arthexis send {station.id} UpdateFirmware"
        yield Finding(f"its firmware {version} {BAD[version]}", wrong=True, command=command)


@hookimpl
def register_diagnoses():
    yield Diagnosis("firmwatch", look)
