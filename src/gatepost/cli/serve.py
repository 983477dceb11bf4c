"""`gatepost serve`: the gateway, the API and the bridge, until told to stop."""

from typing import Annotated

import typer

from gatepost.cli.failure import ExitCode, Failure
from gatepost.cli.opening import read_settings, sealing_key, store_failures
from gatepost.cli.options import Config
from gatepost.serve import CannotListen, Role, Server, run
from gatepost.settings import SettingsError
from gatepost.telemetry import configure_logs


def serve(
    *,
    config: Config = None,
    role: Annotated[Role, typer.Option(help="Which part to run.")] = Role.ALL,
) -> None:
    """Run the gateway, the API and the MDM bridge until SIGTERM or SIGINT."""
    settings = read_settings(config)
    configure_logs(settings.log.level, settings.log.format)
    key = sealing_key(settings) if role in (Role.ALL, Role.CONTROL) else None
    try:
        with store_failures():
            run(Server(settings, role, key))
    except SettingsError as error:
        raise Failure(ExitCode.CONFIGURATION, str(error)) from error
    except CannotListen as error:
        raise Failure(ExitCode.FAILED, str(error)) from error
