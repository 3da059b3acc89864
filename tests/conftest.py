"""What every test begins with."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _the_same_draws() -> None:
    """Whatever is drawn without a generator does not depend on which tests ran before."""
    torch.manual_seed(0)
