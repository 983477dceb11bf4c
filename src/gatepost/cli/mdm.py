"""`gatepost mdm`: the bridge, as a person sees it and helps it."""

import typer

from gatepost.cli import mdm_compare, mdm_devices, mdm_explain, mdm_reconcile, mdm_retire, mdm_status, mdm_work

app = typer.Typer(help="The bridge from MDMs to overrides.", no_args_is_help=True)
app.command("status")(mdm_status.status)
app.command("list")(mdm_devices.list_devices)
app.command("explain")(mdm_explain.explain)
app.add_typer(mdm_work.parked, name="parked")
app.command("replay")(mdm_work.replay)
app.command("reconcile")(mdm_reconcile.reconcile)
app.command("compare")(mdm_compare.compare)
app.command("release")(mdm_work.release)
app.command("retire")(mdm_retire.retire)
