"""The table of speed has every op, and each of its calls runs."""

import sys
from pathlib import Path

import pytest
from library import torch
from sample_rows import ROWS

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def table(monkeypatch):
    """The module of the table's rows."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import ops_rows

    yield ops_rows
    sys.modules.pop("ops_rows")


@pytest.fixture
def networks(monkeypatch):
    """The module of the rows on training."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import rows_networks

    yield rows_networks
    sys.modules.pop("rows_networks")


def test_networks_are_trained_alike_by_modules_and_by_functions(networks):
    for network in networks.NETWORKS.values():
        losses = []
        for way in (networks.by_modules, networks.by_functions):
            step = way(torch, network)
            losses.append([step().item() for _ in range(2)])
        assert losses[0] == losses[1] and losses[0][0] != losses[0][1]


def test_every_op_has_a_row(table):
    assert {row.name for row in ROWS} <= {name for _, name, _ in table.rows()}


@pytest.mark.filterwarnings("ignore")
def test_every_row_runs(table):
    names = table.inputs(torch, 8)
    for label, name, arguments in table.rows():
        code = compile(f"f({arguments})", label, "eval")
        assert eval(code, {**names, "f": table.function_of(torch, name)}) is not None
