"""Names with options, and registries of them: what is read, what is refused, and that names and objects are taken alike."""

from __future__ import annotations

import pytest
import torch

from eddygrad.runtime.specs import Registry, Spec
from eddygrad.training.optimizers.registry import OPTIMIZERS, WithOptions, find_optimizer
from eddygrad.training.schedule import SCHEDULES, Cosine, Drops, Plateau, schedule
from eddygrad.training.weighting import InverseDirichlet, Uniform
from eddygrad.training.weighting.custom import Custom
from eddygrad.training.weighting.registry import NAMES, find_weighting


def test_names_with_options_are_read() -> None:
    assert Spec.parse("poisson", "problem") == Spec("poisson", {})
    assert Spec.parse(" a: k=6, hard=true ,form=plain,none=none", "problem").options == {"k": 6, "hard": True, "form": "plain", "none": None}
    for wrong in ("", ":k=1", "a:k", "a:k=", "a:k=1,k=2", "a:1=2", 3):
        with pytest.raises(ValueError, match="problem: expected NAME or NAME:KEY=VALUE,KEY=VALUE"):
            Spec.parse(wrong, "problem")  # type: ignore[arg-type]


def test_a_registry_names_what_it_knows() -> None:
    colours = Registry("colour", {"red": 1, "blue": 2})
    assert colours.names() == ("red", "blue") and colours.find("blue") == 2 and colours.spec("red:k=1").options == {"k": 1}
    with pytest.raises(ValueError, match="colour: expected one of red, blue, got 'green'"):
        colours.spec("green:k=1")
    with pytest.raises(ValueError, match="colour: red has no option 'k'"):
        colours.options(colours.spec("red:k=1"), {"size": int})


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_is_taken_by_name_and_as_an_object(name: str) -> None:
    assert schedule(name) == SCHEDULES[name]() and schedule(schedule(name)) == schedule(name)
    with pytest.raises(ValueError, match="has no option 'colour'"):
        schedule(f"{name}:colour=1")


def test_options_of_schedules_are_those_of_their_classes() -> None:
    assert schedule("cosine:final=0.1,warmup=4") == Cosine(0.1, 4) and schedule("drops:at=0.25/0.5,rate=0.3") == Drops((0.25, 0.5), 0.3)
    assert repr(Drops("0.5/0.75")) == repr(Drops()) and schedule("plateau:patience=2") == Plateau(patience=2)
    for wrong in ("drops:at=early", "drops:at=2", "cosine:warmup=long", "linear", 0.5):
        with pytest.raises(ValueError, match=r"^schedule: "):
            schedule(wrong)  # type: ignore[arg-type]


def test_an_optimiser_is_taken_by_name_and_as_an_object() -> None:
    for name in set(OPTIMIZERS) - {"soap"}:
        assert find_optimizer(name) == OPTIMIZERS[name]
    make, rate = find_optimizer("adam:lr=0.1,eps=1e-6")
    assert rate == 0.1 and isinstance(make, WithOptions) and make.options == {"eps": 1e-6}
    assert find_optimizer(torch.optim.SGD)[0] is torch.optim.SGD
    for wrong in ("adam:lr=fast", "adam:colour=1", "sgd", 3):
        with pytest.raises(ValueError, match=r"^optimizer: "):
            find_optimizer(wrong)  # type: ignore[arg-type]


def test_a_weighting_is_taken_by_name_as_an_object_and_as_a_function() -> None:
    own = InverseDirichlet("pde")
    assert find_weighting(own) is own and isinstance(find_weighting("uniform"), Uniform)
    assert isinstance(find_weighting(lambda losses: {name: 1.0 for name in losses}), Custom)
    for wrong in ("mgda:warmth=3", "none", 3, Uniform):
        with pytest.raises(ValueError, match=r"^weighting: "):
            find_weighting(wrong)


def test_a_plain_name_is_the_published_rule_and_the_held_form_has_its_own() -> None:
    published, held = (find_weighting(name, reference="pde", every=5) for name in ("inverse-dirichlet", "inverse-dirichlet-held"))
    assert repr(published) == repr(InverseDirichlet("pde", every=5))
    assert repr(held) == repr(InverseDirichlet("pde", hold=1.0, corrected=True, every=5))
    assert {"inverse-dirichlet", "inverse-dirichlet-held"} <= set(NAMES)
