"""`torch.utils.benchmark`: timers, what they measure, and tables of it."""

from importlib import import_module

import pytest
from library import torch

benchmark = import_module(f"{torch.__name__}.utils.benchmark")


def measured(times, number=100, **what):
    """A measurement of so many seconds for each run."""
    spec = {"stmt": "f(x)", "setup": "pass", "label": "work", "num_threads": 1, **what}
    return benchmark.Measurement(number, [t * number for t in times], benchmark.TaskSpec(**spec))


def test_a_measurement_says_what_it_found():
    found = measured([2e-6, 3e-6, 2.5e-6, 2.6e-6], sub_label="small")
    assert found.median == pytest.approx(2.55e-6) and found.mean == pytest.approx(2.525e-6)
    assert found.iqr == pytest.approx(0.325e-6)
    text = str(found).splitlines()[1:]
    assert text == [
        "work: small",
        "  Median: 2.55 us",
        "  IQR:    0.33 us (2.38 to 2.70)",
        "  4 measurements, 100 runs per measurement, 1 thread",
        "  WARNING: Interquartile range is 12.7% of the median measurement.",
        "           This could indicate system fluctuation.",
    ]
    together = benchmark.Measurement.merge([measured([1e-3]), measured([3e-3])])
    assert len(together) == 1 and together[0].median == pytest.approx(2e-3)


def test_a_timer_knows_torch_and_its_names():
    timer = benchmark.Timer("y = x + 1", "x = torch.ones(n)", globals={"n": 3}, label="add")
    found = timer.timeit(20)
    assert found.number_per_run == 20 and len(found.times) == 1 and found.median > 0
    found = timer.blocked_autorange(min_run_time=0.01)
    assert sum(found.raw_times) >= 0.01
    found = timer.adaptive_autorange(max_run_time=0.05)
    assert found.median > 0
    with pytest.raises(ValueError, match="global_setup is C"):
        benchmark.Timer("x", global_setup="int x;")


def test_threads_are_set_for_the_statement_alone():
    seen, before = [], torch.get_num_threads()
    names = {"look": lambda: seen.append(torch.get_num_threads())}
    benchmark.Timer("look()", globals=names, num_threads=before + 1).timeit(2)
    assert set(seen) == {before + 1} and torch.get_num_threads() == before


def table(**settings):
    """A table of two rows and two columns on one thread and on two."""
    made = benchmark.Compare(
        [
            measured([t, t * 1.01, t * 1.3], sub_label=row, description=column, num_threads=threads)
            for threads, scale in ((1, 1.0), (2, 0.5))
            for row, base in (("8", 1.234e-6), ("800", 45.678e-6))
            for column, t in (("ours", base * scale), ("theirs", base * scale * 3))
        ]
    )
    for name, value in settings.items():
        getattr(made, name)(**value)
    return str(made).splitlines()


def test_a_table_has_a_row_for_each_label_and_a_column_for_each_description():
    assert table() == [
        "[------------- work -------------]",
        "           |    ours   |   theirs ",
        "1 threads: -----------------------",
        "      8    |   1246.3  |    3739.0",
        "      800  |  46134.8  |  138404.3",
        "2 threads: -----------------------",
        "      8    |    623.2  |    1869.5",
        "      800  |  23067.4  |   69202.2",
        "",
        "Times are in nanoseconds (ns).",
    ]


def test_a_table_shows_sure_digits_colours_and_warnings():
    assert table(trim_significant_figures={})[3:5] == [
        "      8    |   1000  |    4000", "      800  |  50000  |  100000"
    ]  # fmt: skip
    best, worse, worst, end = "\033[92m\033[1m", "\033[2m\033[91m", "\033[31m\033[1m", "\033[0m\033[0m"
    assert table(colorize={"rowwise": True})[3] == (
        f"      8    |  {best} 1246.3{end}  |  {worse}  3739.0{end}"
    )
    assert table(colorize={})[6:8] == [
        f"      8    |  {best}  623.2{end}  |  {best}  1869.5{end}",
        f"      800  |  {worst}23067.4{end}  |  {worst} 69202.2{end}",
    ]
    lines = table(highlight_warnings={})
    assert lines[3] == "      8    |   1246.3 (! 15%)  |    3739.0 (! 15%)"
    assert lines[-1] == "(! XX%) Measurement has high variance, where XX is the IQR / median * 100."
