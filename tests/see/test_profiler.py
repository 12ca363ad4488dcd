"""Profiles: which events there are, what stands in them, and what is written."""

import gzip
import json
import os
import threading
import time

import pytest
from library import ON_TORCH, pullback_only, torch

profiler, ranges = torch.profiler, torch.autograd.profiler


def step(x, w):
    with profiler.record_function("forward"):
        loss = (torch.nn.functional.linear(x, w).relu() * 2 + 1).sum()
    loss.backward()
    return loss


def weights():
    return torch.ones(2, 3), torch.ones(4, 3, requires_grad=True)


def names(seen):
    return [event.name for event in seen.events()]


def test_ops_nodes_and_ranges_are_events_within_each_other():
    with profiler.profile() as seen:
        step(*weights())
    by_name = {event.name: event for event in reversed(seen.events())}
    for name in ("aten::linear", "aten::relu", "aten::mul", "aten::add", "aten::sum"):
        event, above = by_name[name], []
        while event.cpu_parent is not None:
            event = event.cpu_parent
            above.append(event.name)
        assert "forward" in above
    for node in ("MulBackward0", "ReluBackward0", "torch::autograd::AccumulateGrad"):
        around = by_name[node].cpu_parent
        assert around.name == f"autograd::engine::evaluate_function: {node}" and around.cpu_parent is None
    assert by_name["MulBackward0"].scope == 1 and by_name["forward"].scope == 7
    assert any(child.name == "aten::mul" for child in by_name["MulBackward0"].cpu_children)
    assert by_name["MulBackward0"].sequence_nr in {
        event.sequence_nr for event in seen.events() if event.name == "aten::mul" and event.scope == 0
    }


def test_times_add_up():
    with profiler.profile() as seen, profiler.record_function("all"):
        started = time.perf_counter()
        step(*weights())
        with profiler.record_function("asleep"):
            time.sleep(0.01)
        took = (time.perf_counter() - started) * 1e6
    events = seen.events()
    for event in events:
        within = sum(child.cpu_time_total for child in event.cpu_children)
        assert within <= event.cpu_time_total + 0.1
        assert event.self_cpu_time_total == pytest.approx(event.cpu_time_total - within, abs=0.1)
        for child in event.cpu_children:
            assert event.time_range.start - 0.1 <= child.time_range.start
            assert child.time_range.end <= event.time_range.end + 0.1
    rows = {row.key: row for row in seen.key_averages()}
    assert rows["all"].cpu_time_total == pytest.approx(took, rel=0.3)
    assert rows["asleep"].self_cpu_time_total >= 1e4
    assert seen.key_averages().self_cpu_time_total == pytest.approx(rows["all"].cpu_time_total, rel=0.01)
    assert rows["aten::mul"].count >= 2 and rows["aten::mul"].cpu_time == rows["aten::mul"].cpu_time_total / (
        rows["aten::mul"].count
    )


def test_ops_in_tapes_and_plans_are_seen_each_time():
    """The second call of a composite records a tape, the third runs it."""
    x = torch.ones(3, requires_grad=True)

    def loss():
        return torch.nn.functional.gelu(x, approximate="tanh").logsumexp(0).pow(2)

    seen = []
    for _ in range(5):
        with profiler.profile() as one:
            loss().backward()
        seen.append(sorted(n for n in names(one) if "Backward" in n))
    assert all(found == seen[0] for found in seen)


@pullback_only("it looks into composites, which are other ops there")
def test_a_composite_has_its_ops_within():
    f = torch.nn.functional.smooth_l1_loss
    x, y = torch.ones(3, requires_grad=True), torch.zeros(3)
    counts = []
    for _ in range(6):
        with profiler.profile() as seen:
            f(x, y, beta=0.5)
        outer = next(event for event in seen.events() if event.name == "aten::smooth_l1_loss")
        assert outer.cpu_parent is None
        counts.append(len(seen.events()))
    assert len(set(counts)) == 1


def test_quick_ways_and_writes_are_seen():
    x = torch.ones(3, 3)
    with profiler.profile() as seen:
        torch.zeros(2)
        x[0]
        x[0] = 1.0
        x[1] = x[0]
        x.add_(1)
        x.t()
        x.detach()
        x.clone()
        x.size(0), x.numel(), x.is_contiguous(), x.dim()
    found = names(seen)
    for name in ("zeros", "select", "fill_", "copy_", "add_", "t", "detach", "clone"):
        assert f"aten::{name}" in found
    assert not {"aten::size", "aten::numel", "aten::is_contiguous"} & set(found)


def test_custom_functions_optimizers_and_loaders_have_names():
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    net = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    data = torch.utils.data.TensorDataset(torch.ones(4, 3))
    with profiler.profile() as seen:
        for (x,) in torch.utils.data.DataLoader(data, batch_size=2):
            optimizer.zero_grad()
            Double.apply(net(x)).sum().backward()
            optimizer.step()
    rows = {row.key: row.count for row in seen.key_averages()}
    assert rows["Double"] == rows["DoubleBackward"] == 2
    assert rows["Optimizer.step#SGD.step"] == rows["Optimizer.zero_grad#SGD.zero_grad"] == 2
    assert rows["enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__"] == 3


def test_an_error_ends_its_events():
    with profiler.profile() as seen:
        with pytest.raises(RuntimeError):
            torch.ones(2) + torch.ones(3)
        with pytest.raises(ValueError), profiler.record_function("broken"):
            raise ValueError
        torch.ones(2).exp()
    top = {event.name for event in seen.events() if event.cpu_parent is None}
    assert {"aten::exp", "broken"} <= top


def test_shapes():
    with profiler.profile(record_shapes=True) as seen:
        for n in (2, 2, 5):
            torch.ones(n, 3).mm(torch.ones(3, 4))
    event = next(event for event in seen.events() if event.name == "aten::mm")
    assert event.input_shapes == [[2, 3], [3, 4]]
    rows = [row for row in seen.key_averages(group_by_input_shape=True) if row.key == "aten::mm"]
    assert {str(row.input_shapes): row.count for row in rows} == {
        "[[2, 3], [3, 4]]": 2,
        "[[5, 3], [3, 4]]": 1,
    }
    assert "Input Shapes" in seen.key_averages(group_by_input_shape=True).table()
    assert "Input Shapes" not in seen.key_averages().table()


def test_operations():
    x, y = torch.ones(200, 300), torch.ones(300, 400)
    with profiler.profile(with_flops=True, record_shapes=True) as seen:
        x.mm(y)
        torch.nn.functional.conv2d(torch.ones(1, 2, 8, 8), torch.ones(3, 2, 3, 3))
        x * 2
    flops = {row.key: row.flops for row in seen.key_averages()}
    assert flops["aten::mm"] == 2 * 200 * 300 * 400
    assert flops["aten::mul"] == 200 * 300
    assert max(count for key, count in flops.items() if "conv" in key) == 2 * (3 * 6 * 6) * (2 * 3 * 3)
    assert "Total KFLOPs" in seen.key_averages().table() and "48000.000" in seen.key_averages().table()


def test_memory_that_tensors_take_and_give_back():
    x = torch.ones(1000)
    with profiler.profile(profile_memory=True) as seen:
        with profiler.record_function("kept"):
            y = x.exp()
        with profiler.record_function("passing"):
            x.exp().sin().cos().sum()
        with profiler.record_function("gone"):
            del y
    rows = {row.key: row for row in seen.key_averages()}
    assert rows["kept"].cpu_memory_usage == 4000
    assert rows["gone"].cpu_memory_usage == rows["gone"].self_cpu_memory_usage == -4000
    assert abs(rows["passing"].cpu_memory_usage) <= 4
    assert rows["aten::sin"].self_cpu_memory_usage == 4000
    table = seen.key_averages().table()
    assert "CPU Mem" in table and "3.91 KB" in table
    assert "CPU Mem" not in ranges.EventList([]).table()


@pullback_only("views and sums of gradients take other memory there")
def test_memory_of_views_and_of_a_pass():
    x = torch.ones(1000, requires_grad=True)
    with profiler.profile(profile_memory=True) as seen:
        y = x.exp()
        z = y.view(10, 100)[2:].t()
        z.sum().backward()
        del y, z
    assert sum(event.self_cpu_memory_usage for event in seen.events()) == 4000  # of x.grad alone
    assert {row.key: row.cpu_memory_usage for row in seen.key_averages()}["aten::t"] == 0


@pullback_only("stacks are events of their own there")
def test_stacks(tmp_path):
    def inner(x):
        return x.exp()  # here

    with profiler.profile(with_stack=True) as seen:
        inner(torch.ones(3))
        torch.ones(3).exp()
    rows = [r for r in seen.key_averages(group_by_stack_n=1) if r.key == "aten::exp"]
    assert len(rows) == 2 and rows[0].stack[0].endswith("): inner")
    table = seen.key_averages(group_by_stack_n=2).table()
    assert "Source Location" in table and "): inner" in table
    seen.export_stacks(tmp_path / "stacks")
    lines = (tmp_path / "stacks").read_text().splitlines()
    assert all(line.rpartition(" ")[2].isdigit() for line in lines)
    assert any("_test_stacks;" in line and "_inner " in line for line in lines)
    with pytest.raises(ValueError, match="metric should be one of"):
        seen.export_stacks(tmp_path / "stacks", "foo")


@pullback_only("modules are known of scripted ones alone there")
def test_modules():
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    with profiler.profile(with_modules=True) as seen:
        net(torch.ones(1, 2))
    modules = {event.name: event.modules for event in reversed(seen.events())}
    assert modules["aten::relu"] == ["Sequential", "Sequential.1"] and modules["aten::ones"] == []
    assert modules["aten::linear"] == ["Sequential", "Sequential.0"]
    assert not net._forward_hooks


def test_the_table():
    with profiler.profile() as seen:
        step(*weights())
    rows = seen.key_averages()
    lines = rows.table(sort_by="cpu_time_total", row_limit=4).splitlines()
    assert lines[1].split("  ")[0].strip() == "Name" or "Name" in lines[1]
    for head in ("Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg", "# of Calls"):
        assert head in lines[1]
    assert len(lines) == 3 + 4 + 2 and lines[-1].startswith("Self CPU time total: ")
    assert len({len(line) for line in lines[:-1]}) == 1
    totals = [row.cpu_time_total for row in sorted(rows, key=lambda row: -row.cpu_time_total)]
    assert totals == sorted(totals, reverse=True)
    text = rows.table(header="A HEAD", top_level_events_only=True, max_name_column_width=12)
    assert "A HEAD" in text and "This report only display top-level ops statistics" in text
    assert "..." in text and "aten::relu" not in text
    assert len(rows.table(row_limit=-1).splitlines()) == len(rows) + 5
    with pytest.raises(AttributeError, match="object has no attribute 'foo'"):
        rows.table(sort_by="foo")
    total = rows.total_average()
    assert total.key == "Total" and total.count == len(seen.events())


def test_a_trace_for_browsers(tmp_path):
    for name in ("trace.json", "trace.json.gz"):
        with profiler.profile(record_shapes=True, profile_memory=True) as seen:
            step(*weights())
        path = tmp_path / name
        seen.add_metadata("run", "7")
        seen.export_chrome_trace(str(path))
        text = gzip.decompress(path.read_bytes()) if name.endswith("gz") else path.read_bytes()
        trace = json.loads(text)
        assert trace["schemaVersion"] == 1 and trace["record_shapes"] == 1
        events = trace["traceEvents"]
        assert {event["ph"] for event in events} >= {"X", "M", "s", "f", "i"}
        spans = {
            e["name"]: e for e in events if e["ph"] == "X" and e.get("cat") in ("cpu_op", "user_annotation")
        }
        assert spans["forward"]["cat"] == "user_annotation" and spans["aten::sum"]["cat"] == "cpu_op"
        assert spans["aten::linear"]["args"]["Input Dims"][:2] == [[2, 3], [4, 3]]
        inner, outer = spans["aten::relu"], spans["forward"]
        assert outer["ts"] <= inner["ts"] and inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"] + 1
        for event in events:
            assert event["ph"] == "M" or isinstance(event["ts"], (int, float))
        assert any(e["name"] == "[memory]" and e["args"]["Bytes"] != 0 for e in events if e["ph"] == "i")
        starts = {e["id"] for e in events if e["ph"] == "s"}
        assert starts == {e["id"] for e in events if e["ph"] == "f"} != set()


@pytest.mark.filterwarnings("ignore:`export_memory_timeline`")
@pytest.mark.parametrize("suffix", [".json", ".html", ".raw.json.gz"])
@pullback_only("it is deprecated there, and has categories")
def test_memory_over_time(tmp_path, suffix):
    with profiler.profile(record_shapes=True, profile_memory=True) as seen:
        torch.ones(1000).exp()
    path = tmp_path / f"memory{suffix}"
    seen.export_memory_timeline(str(path))
    if suffix == ".html":
        assert "<path" in path.read_text() and "7.81 KB" in path.read_text()
    elif suffix == ".json":
        times, sizes = json.loads(path.read_text())
        assert times == sorted(times) and max(sizes) == [8000]
    else:
        rows = json.loads(gzip.decompress(path.read_bytes()))
        assert [size for _, size, _ in rows[:2]] == [4000, 4000]
    with profiler.profile() as seen:
        pass
    with pytest.raises(ValueError, match="record_shapes=True, profile_memory=True required"):
        seen.export_memory_timeline(str(path))


@pullback_only("PyTorch's profiler ends the process in its second round, on a CPU alone")
def test_schedules_and_steps(tmp_path):
    rounds = []

    def ready(seen):
        rounds.append((seen.step_num, [row.key for row in seen.key_averages()]))

    plan = profiler.schedule(wait=1, warmup=1, active=2, repeat=2)
    with profiler.profile(schedule=plan, on_trace_ready=ready) as seen:
        for _ in range(9):
            torch.ones(2).exp()
            seen.step()
    assert [number for number, _ in rounds] == [4, 8]
    assert all("ProfilerStep*" in keys and "aten::exp" in keys for _, keys in rounds)
    with profiler.profile(
        schedule=profiler.schedule(wait=0, warmup=1, active=1),
        on_trace_ready=profiler.tensorboard_trace_handler(str(tmp_path), "worker"),
    ) as seen:
        for _ in range(4):
            torch.ones(2)
            seen.step()
    files = list(tmp_path.iterdir())
    assert len(files) == 2 and all(
        f.name.startswith("worker.") and f.name.endswith(".pt.trace.json") for f in files
    )
    assert "ProfilerStep#3" in (max(files, key=lambda f: f.name)).read_text()
    with pytest.warns(UserWarning, match="Profiler won't be using warmup"):
        profiler.schedule(wait=0, warmup=0, active=1)


@pullback_only("PyTorch's profiler ends the process in its second round, on a CPU alone")
def test_rounds_are_kept_if_asked_for():
    plan = profiler.schedule(wait=0, warmup=1, active=1, repeat=2)
    for acc, count in ((True, 2), (False, 1)):
        with profiler.profile(schedule=plan, acc_events=acc) as seen:
            for _ in range(5):
                torch.ones(2).exp()
                seen.step()
        assert {row.key: row.count for row in seen.key_averages()}["aten::exp"] == count


def test_profiles_that_do_not_run():
    seen = profiler.profile()
    for call, what in (
        (seen.events, "accessing events"),
        (seen.key_averages, "getting key averages"),
        (lambda: seen.export_chrome_trace("x"), "exporting chrome trace"),
        (lambda: seen.export_stacks("x"), "exporting stacks"),
        (seen.stop, "stopping trace"),
    ):
        with pytest.raises(AssertionError, match=f"Profiler must be initialized before {what}"):
            call()
    assert str(ranges.profile()) == "<unfinished torch.autograd.profile>"
    with pytest.raises(AssertionError, match="No valid profiler activities found"):
        profiler.profile(activities=[])
    with pytest.raises(AssertionError, match="requires with_stack=True"), profiler.profile() as seen:
        seen.export_stacks("x")
    if not ON_TORCH:  # where the outer one loses its events
        with (
            pytest.raises(RuntimeError, match="Profiler is already enabled on this thread"),
            ranges.profile(),
            ranges.profile(),
        ):
            pass
    one = ranges.profile()
    with one:
        pass
    with pytest.raises(RuntimeError, match="Profiler context manager is not reentrant"), one:
        pass
    with ranges.profile(enabled=False) as nothing:
        torch.ones(2)
    assert nothing is None
    with ranges.emit_itt(), pytest.raises(AssertionError, match="Torch not compiled with CUDA enabled"):
        ranges.emit_nvtx().__enter__()


def test_other_threads_are_not_seen():
    def work():
        for _ in range(50):
            torch.ones(3).cos()

    with profiler.profile() as seen:
        thread = threading.Thread(target=work)
        thread.start()
        torch.ones(3).sin()
        thread.join()
    assert "aten::sin" in names(seen) and "aten::cos" not in names(seen)


@pullback_only("it has another way to say so")
def test_all_threads_if_asked_for():
    from pullback._C._profiler import _ExperimentalConfig

    config = _ExperimentalConfig(profile_all_threads=True)
    with profiler.profile(experimental_config=config) as seen:
        thread = threading.Thread(target=lambda: torch.ones(3).cos())
        thread.start()
        thread.join()
        torch.ones(3).sin()
    threads = {event.name: event.thread for event in seen.events()}
    assert threads["aten::cos"] != threads["aten::sin"]


@pullback_only("counters of the engine")
def test_nothing_is_noted_while_off():
    from pullback.core import _engine

    place = _engine.start_events()
    torch.ones(3).exp()
    _engine.stop_events()
    torch.ones(3).sin()
    assert not _engine.is_profiling()
    assert [str(record[1]) for record in _engine.take_events(place)] == ["<function ones>", "<op exp>"]
    place = _engine.start_events()
    _engine.stop_events()
    assert place == 0 and _engine.take_events(place) == []


@pullback_only("counters of the engine")
def test_transforms_and_recorded_passes_are_seen():
    x = torch.ones(3)
    with profiler.profile() as seen:
        torch.func.vmap(torch.func.grad(lambda t: t.exp().sin()))(x)
        torch.func.jvp(torch.exp, (x,), (x,))
        torch.func.hessian(lambda t: (t**3).sum())(x)
    found = names(seen)
    assert found.count("aten::exp") >= 2 and "PowBackward0" in found and "aten::sin" in found


def test_a_decorator_and_many_events():
    @profiler.record_function("marked")
    def work(n):
        x = torch.ones(3)
        for _ in range(n):
            x = x * 1
        return x

    with profiler.profile() as seen:
        work(20000)
    rows = {row.key: row for row in seen.key_averages()}
    assert rows["marked"].count == 1 and rows["aten::mul"].count == 20000
    assert ON_TORCH or len(seen.events()) == 20002


@pullback_only("counters of the engine")
def test_a_forked_process_is_not_profiled():
    from pullback.core import _engine

    read, write = os.pipe()
    with profiler.profile() as seen:
        child = os.fork()
        if child == 0:
            torch.ones(3).exp()
            os.write(write, b"no" if _engine.is_profiling() else b"ok")
            os._exit(0)
        os.waitpid(child, 0)
        torch.ones(3).sin()
    assert os.read(read, 2) == b"ok" and "aten::sin" in names(seen)


@pullback_only("its own ops are not under PyTorch's names")
def test_ops_that_pytorch_has_not_say_whose_they_are():
    x = torch.randn(3, 3, requires_grad=True)
    with torch.profiler.profile() as seen:
        torch.einsum("ij,jk->ik", x, x)[torch.tensor([0])].softmax(1).sum().backward()
    found = set(names(seen))
    assert {"aten::einsum", "pullback::contraction", "aten::index", "pullback::softmax_slope"} <= found
