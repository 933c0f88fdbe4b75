"""What all processes of a scenario agree on: whose permits these are, and their timing."""

from service.store.connection import Commands
from service.store.permit_office import PermitOffice
from service.store.permit_steps import Timing
from tests.chaos.permits.lease_only import lease_only
from tests.chaos.permits.orders import Orders

ACCOUNT = "chaos"
KEY = "chaos.simulated"  # id.secret, as real keys are
MODEL = "glm-4-flashx-250414"
WORKERS = 4
GREED = 3  # callers for each permit: two thirds of them wait
FIRST_TOKEN_MS = 80  # of an answer
TOKENS = 12  # of an answer: enough that it is a stream, few enough for two cores

# Answers by the word that asks for them. A heavy one does not fit into its reader's kernel, whose
# buffers the rig makes small: while its worker is stopped the upstream cannot write on, and goes on
# counting it.
RECEIVE_BYTES = 8_192  # of a worker's connections to the upstream; the kernel doubles it
HEAVY_CHARACTERS = 4_000  # a letter and its marks: one model token, of 8 KB on the wire
ANSWERS = {
    "light": " ".join(["word"] * TOKENS),
    "heavy": " ".join(["a" + "\u0301" * HEAVY_CHARACTERS] * TOKENS),
}


def timing_of(orders: Orders) -> Timing:
    return Timing(
        orders.linger_s, orders.lease_s, heartbeat_s=orders.heartbeat_s, release_s=orders.release_s
    )


def office_of(commands: Commands, orders: Orders) -> PermitOffice:
    """The permits as every process of a scenario sees them."""
    return PermitOffice(
        commands, account=ACCOUNT, model=MODEL, timing=timing_of(orders),
        functions=lease_only() if orders.lease_only else None,
    )  # fmt: skip
