"""A worker that a fence notice calls dead ends itself: its permits have been given away."""

from service.settings import load
from service.store.connection import Commands
from service.store.permit_office import PermitOffice, account_name
from tests.support.eventually import eventually
from tests.support.instance import Instance, Simulator
from tests.support.valkey import Valkey


async def test_a_fenced_worker_ends_and_is_replaced():
    with (
        Valkey() as valkey,
        Simulator() as simulator,
        Instance(valkey.url, simulator.url, workers=1) as instance,
    ):
        before = instance.workers()[0]["pid"]
        settings = load({"PARLEY_MODEL_URL": simulator.url})
        async with Commands.open(valkey.url, name="somebody") as commands:
            await commands.wait_up()
            office = PermitOffice(
                commands,
                account=account_name(settings.model_url, settings.api_key),
                model=settings.model,
            )
            (session,) = (await office.state()).sessions
            await office.fence(session)
        after = await eventually(
            lambda: [w["pid"] for w in instance.workers() if w["pid"] != before],
            within=20.0,
            every=0.3,
        )
        assert len(after) == 1
