"""What every store answers, whoever holds it.

Subclass `StoreContract` as `Test...` where a fixture `fresh_store` is an empty store with the
methods of `store.Store`: opened in the process, or an owner's proxy.
"""

from tests.store.contract.declarations import DeclarationsContract
from tests.store.contract.jobs import JobsContract
from tests.store.contract.live import LiveContract
from tests.store.contract.models import ModelsContract
from tests.store.contract.profile import ProfileContract
from tests.store.contract.results import ResultsContract
from tests.store.contract.spectra import SpectraContract
from tests.store.contract.stages import StagesContract
from tests.store.contract.trials import TrialsContract
from tests.store.contract.units import UnitsContract


class StoreContract(
    ModelsContract,
    DeclarationsContract,
    UnitsContract,
    LiveContract,
    JobsContract,
    ResultsContract,
    ProfileContract,
    SpectraContract,
    StagesContract,
    TrialsContract,
):
    """The whole contract."""
