"""`gatepost keys`: access keys for the API."""

from typing import Annotated

import typer

from gatepost.cli.failure import ExitCode, Failure
from gatepost.cli.opening import acting, opened, read_settings, sealing_key
from gatepost.cli.options import AsJson, Config
from gatepost.cli.screen import answers, moment, print_json, remarks, table
from gatepost.model import AccessKey, Role
from gatepost.operations import access_keys
from gatepost.operations.errors import EntityNotFoundException

app = typer.Typer(help="Access keys for the API.", no_args_is_help=True)


@app.command("create")
def create_key(
    *,
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.ADMIN,
    description: Annotated[str, typer.Option(metavar="TEXT", help="Whom or what it is for.", show_default=False)] = "",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Create an access key; its secret is shown this once."""
    settings = read_settings(config)
    with opened(settings) as store:
        key, secret = access_keys.create(acting(store), sealing_key(settings), role=role, description=description)
    if as_json:
        print_json(
            {
                "access_key_id": key.access_key_id,
                "secret_access_key": secret,
                "role": key.role.value,
                "description": key.description,
            }
        )
        return
    answers().print(f"export AWS_ACCESS_KEY_ID={key.access_key_id}\nexport AWS_SECRET_ACCESS_KEY={secret}")
    remarks().print("Keep the secret: it is not shown again.")


@app.command("list")
def list_keys(*, config: Config = None, as_json: AsJson = False) -> None:
    """List the access keys, revoked ones included."""
    with opened(read_settings(config)) as store:
        keys = access_keys.list(acting(store))
    if as_json:
        print_json([_as_json(key) for key in keys])
    else:
        columns = ("access key id", "role", "created", "revoked", "description")
        answers().print(
            table(
                columns,
                (
                    (
                        one.access_key_id,
                        one.role.value,
                        moment(one.date_created),
                        moment(one.date_revoked),
                        one.description,
                    )
                    for one in keys
                ),
            )
        )


@app.command("revoke")
def revoke_key(
    *, access_key_id: Annotated[str, typer.Argument(metavar="ACCESS_KEY_ID", show_default=False)], config: Config = None
) -> None:
    """Refuse an access key from now on."""
    with opened(read_settings(config)) as store:
        try:
            key = access_keys.revoke(acting(store), access_key_id)
        except EntityNotFoundException:
            raise Failure(
                ExitCode.NOT_FOUND, f"there is no access key `{access_key_id}`: see `gatepost keys list`"
            ) from None
    answers().print(f"{key.access_key_id} is revoked since {moment(key.date_revoked)}")


def _as_json(key: AccessKey) -> dict[str, str | None]:
    return {
        "access_key_id": key.access_key_id,
        "role": key.role.value,
        "description": key.description,
        "date_created": moment(key.date_created),
        "date_revoked": moment(key.date_revoked),
    }
