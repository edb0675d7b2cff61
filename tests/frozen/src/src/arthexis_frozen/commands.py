"""The command `arthexis frozen`."""

import click


@click.command()
@click.argument("energy_wh", type=int)
def frozen(energy_wh):
    """Say what so much energy costs."""
    click.echo(f"{energy_wh / 1000 * 0.31:.2f}")
