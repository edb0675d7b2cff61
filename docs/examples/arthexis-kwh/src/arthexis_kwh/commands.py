"""The command `arthexis kwh`."""

from collections import Counter

import click

from arthexis import ask, show


@click.command()
@click.option("--station", help="Only of this station.")
@show.json_option
def kwh(station, as_json):
    """Add up the energy of each tag's latest 1,000 transactions, in kWh."""
    energy_wh = Counter()
    for row in ask("transactions.list", station=station, limit=1000):
        energy_wh[row["id_tag"]] += row["energy_wh"] or 0
    rows = [{"tag": tag, "kwh": f"{wh / 1000:.3f}"} for tag, wh in energy_wh.most_common()]
    if as_json:
        show.as_json(rows)
    else:
        show.table(rows, ("tag", "kwh"), "No transaction.")
