"""New tensors: the quick way of plain arguments gives what the general one gives, and so do wrong ones."""

import itertools

import pytest
from library import ON_TORCH, torch

NAMES = "float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool", "complex64"
DTYPES = [None, *NAMES]
SIZES = [(2, 3), ((2, 3),), ([2, 3],), (0,), ((),), (3, 0), (-1,), (2.5,), ("a",), (True,), (2**40, 2**40)]
NUMBERS = [1, 1.5, True, -1, 300, 2**40, 1e300, float("inf"), -(2**63), 2**63, 1 + 2j]
LISTS = [
    [1, 2, 3], [1.0, 2], [[1, 2], [3, 4]], [[1, 2], [3]], [1, [2]], [[1], 2], [], [[]], [True, False],
    [True, 1], [True, 1.5], [(1, 2), [3, 4]], [2**62], [2**63], [1e300], [float("nan")], [1j], ["a"], 3, 2.5,
    True, [[[1.0]]], [2**53 + 1], [1, None],
]  # fmt: skip
RANGES = [
    (5,), (0,), (-1,), (2, 5), (5, 2), (5, 2, -1), (0, 10, 3), (10, 0, -3), (0, 1, 0.1), (0.0, 1, 0.25),
    (1, 2, 0), (float("inf"),), (1.5,), (0, -5, -2), (3, 3), (-3, 3, 0.5), (2**62,),
]  # fmt: skip


def outcome(call):
    """What is told of a new tensor, or of the error."""
    try:
        x = call()
    except (RuntimeError, TypeError, ValueError, OverflowError, NotImplementedError) as error:
        return type(error), str(error)
    numbers = x.detach().to(torch.complex128 if x.is_complex() else torch.float64)
    return x.dtype, x.shape, x.stride(), x.requires_grad, str(numbers.tolist())


def plain_and_general(make):
    """`make(**options)` with and without an option that no quick way reads, and that changes nothing."""
    for name, grad in itertools.product(DTYPES, (False, True)):
        options = {} if name is None else {"dtype": getattr(torch, name)}
        if grad:
            options["requires_grad"] = True
        torch.manual_seed(0)
        quick = outcome(lambda options=options: make(**options))
        torch.manual_seed(0)
        general = outcome(lambda options=options: make(layout=torch.strided, **options))
        assert quick == general or quick[0] is general[0] is TypeError  # which may show the options


@pytest.mark.parametrize("name", ["zeros", "ones", "rand", "randn", "new_zeros", "new_ones"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_by_size(name, size):
    of = torch.ones(1, dtype=torch.int32) if name.startswith("new") else torch
    plain_and_general(lambda **options: getattr(of, name)(*size, **options))


@pytest.mark.parametrize("number", NUMBERS, ids=str)
def test_filled(number):
    x = torch.ones(2, 3, dtype=torch.float64)
    plain_and_general(lambda **options: torch.full((2, 2), number, **options))
    plain_and_general(lambda **options: torch.full_like(x, number, **options))
    plain_and_general(lambda **options: x.new_full([3], number, **options))


@pytest.mark.parametrize("name", ["zeros_like", "ones_like", "rand_like", "randn_like"])
def test_like_another(name):
    for x in (torch.ones(2, 3), torch.ones(2, 3).t(), torch.ones(()), torch.ones(0, 2), torch.ones(3)[::2]):
        plain_and_general(lambda x=x, **options: getattr(torch, name)(x, **options))


@pytest.mark.parametrize("bounds", RANGES, ids=str)
def test_ranges(bounds):
    plain_and_general(lambda **options: torch.arange(*bounds, **options))


@pytest.mark.filterwarnings("ignore")
def test_other_makers():
    for args in ((3,), (2, 3), (0,), (-1,), (2, -1), (3, 0), (2.5,)):
        plain_and_general(lambda args=args, **options: torch.eye(*args, **options))
    for args in ((3,), (17,), (0,), (-1,), (2.5,)):
        plain_and_general(lambda args=args, **options: torch.randperm(*args, **options))
    for args in ((5, (3,)), (2, 9, (3,)), (0, (3,)), (5, 2, (3,)), (2**40, (3,)), (5.5, (2,))):
        plain_and_general(lambda args=args, **options: torch.randint(*args, **options))
    for args in ((0, 1, 5), (-1, 1.5, 8), (3, -7, 1), (0, 1, 0), (0, 1, -1), (2, 2, 3)):
        plain_and_general(lambda args=args, **options: torch.linspace(*args, **options))
        plain_and_general(lambda args=args, **options: torch.logspace(*args, **options))
    for number in NUMBERS:
        plain_and_general(lambda number=number, **options: torch.scalar_tensor(number, **options))
    for bounds in () if ON_TORCH else RANGES:  # PyTorch dies of a step that is zero in an integer dtype
        plain_and_general(lambda bounds=bounds, **options: torch.range(*bounds, **options))


STRIDES = [((2, 3), (1, 2)), ((2, 3), (3, 1)), ((3,), (0,)), ((), ()), ((0, 2), (2, 1)), ((2,), (1, 1)),
           ((2,), (-1,)), ((-1,), (1,)), ((2,), (2**62,))]  # fmt: skip


@pytest.mark.parametrize(("size", "stride"), STRIDES, ids=str)
def test_with_strides(size, stride):
    """Elements are not set: they are filled before they are looked at."""
    x = torch.ones(1, dtype=torch.float64)
    plain_and_general(lambda **options: torch.empty_strided(size, stride, **options).detach().zero_())
    plain_and_general(lambda **options: x.new_empty_strided(size, stride, **options).detach().zero_())


def test_a_copy_that_is_filled():
    x = torch.ones(2, 3, requires_grad=True)
    torch.fill(x, 2).sum().backward()
    assert x.grad.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert torch.fill(x.detach().t(), 2).tolist() == [[2, 2], [2, 2], [2, 2]]
    assert torch.fill(torch.ones(2, dtype=torch.int64), 3).dtype is torch.int64
    y = torch.ones(300)[::3]
    y.fill_(2)
    assert y.sum() == 200
    z = torch.zeros(5, 7)[:, 2:5].fill_(1.5)
    assert z._base.sum() == 1.5 * 15


class Marked(torch.Tensor):
    """Says of itself what is asked for."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return function.__name__


QUESTIONS = ["is_floating_point", "is_complex", "is_signed", "numel", "is_contiguous"]


@pytest.mark.parametrize("name", QUESTIONS)
def test_questions_are_asked_of_subclasses(name):
    x = torch.ones(2, 3)
    expected = {"is_floating_point": True, "is_signed": True, "numel": 6, "is_contiguous": True}
    for call in (getattr(torch, name, None), getattr(torch.Tensor, name)):
        if call is not None:
            assert call(x) == expected.get(name, False)
            assert call(x.as_subclass(Marked)) == name


def test_what_equals_what():
    x = torch.tensor([0.0, 1.0, float("nan")])
    assert torch.equal(x[:2], torch.tensor([-0.0, 1.0])) and not torch.equal(x, x)
    assert not torch.equal(x[:2], x[1:]) and not torch.equal(x[:2], x[:1])
    long = torch.arange(1000.0)
    other = long.clone()
    assert torch.equal(long, other) and torch.equal(long.t(), other)
    other[999] = 0
    assert not torch.equal(long, other)
    assert torch.equal(torch.ones(2, 3).t(), torch.ones(3, 2)) and torch.equal(torch.ones(0), torch.ones(0))
    assert torch.equal(torch.tensor([1, 2]), torch.tensor([1, 2]))


def test_numbers_in_lists():
    for data in LISTS:
        for name, grad in itertools.product(DTYPES, (False, True)):
            options = {} if name is None else {"dtype": getattr(torch, name)}
            quick = outcome(lambda data=data, o=options, g=grad: torch.tensor(data, requires_grad=g, **o))
            general = outcome(
                lambda data=data, o=options, g=grad: torch.tensor(
                    data, requires_grad=g, pin_memory=False, **o
                )
            )
            assert quick == general


def test_linspace_rounds_once():
    """Each number is `start + i * step`, or as far from the end, rounded once."""
    x = torch.linspace(0.1, 0.7, 200)
    step = (x[-1] - x[0]) / 199
    i = torch.arange(200.0, dtype=torch.float64)
    low, high = x[0].double() + i * step.double(), x[-1].double() - (199 - i) * step.double()
    assert torch.equal(x, torch.where(i < 100, low, high).float())


def test_integers_by_fractional_steps():
    assert torch.arange(0, 1, 0.25, dtype=torch.int32).tolist() == [0, 0, 0, 0]
    assert torch.arange(-3, 3, 2.5, dtype=torch.int32).tolist() == [-3, -1, 1]


def test_lists_that_contain_themselves():
    """An error as for lists that are too deep; nothing is looked for without end."""
    loop = []
    loop.append(loop)
    two = []
    two.extend((two, two))
    x = torch.ones(2, 3)
    for data in (loop, two):
        with pytest.raises(ValueError, match="too many dimensions 'list'"):
            torch.tensor(data)
        with pytest.raises(ValueError, match="too many dimensions 'list'"):
            torch.as_tensor(data)
        for call in (
            lambda data=data: x.sum(data),
            lambda data=data: x.sum(dim=data),
            lambda data=data: torch.cat(data),
            lambda data=data: torch.stack(data),
            lambda data=data: torch.zeros(data),
            lambda data=data: x.permute(data),
            lambda data=data: x.view(data),
            lambda data=data: x.expand(data),
            lambda data=data: x.flip(data),
        ):
            with pytest.raises(TypeError):
                call()


def test_makers_under_transforms_and_defaults():
    """Under vmap, and on another default device, what is made is made as ever."""
    made = torch.func.vmap(lambda x: x + torch.ones(2))(torch.zeros(3, 2))
    assert made.tolist() == [[1.0, 1.0]] * 3
    with torch.device("meta"):
        assert torch.zeros(2, 3).is_meta and torch.arange(3).is_meta and torch.tensor([1.0]).is_meta
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.zeros(2).dtype is torch.float64 and torch.tensor([1.0]).dtype is torch.float64
        assert torch.arange(0.0, 1.0, 0.5).dtype is torch.float64
    finally:
        torch.set_default_dtype(before)


def test_a_type_called_a_thousand_times_at_one_place_makes_whole_objects():
    """Python specialises a call that comes often; what it calls then must fill the object, too."""

    class Plain(torch.Tensor):
        pass

    class Filled(torch.Tensor):
        def __init__(self, *args):
            self.seen = len(args)

    calls = [
        lambda: [torch.Tensor([0]) for _ in range(1000)],
        lambda: [torch.Tensor(2, 3) for _ in range(1000)],
        lambda: [torch.Tensor() for _ in range(1000)],
        lambda: [torch.FloatTensor([1]) for _ in range(1000)],
        lambda: [torch.nn.Parameter(torch.ones(1)) for _ in range(1000)],
        lambda: [Plain([1, 2]) for _ in range(1000)],
        lambda: [Filled([1, 2]) for _ in range(1000)],
    ]
    for call in calls:
        shapes = {tuple(x.shape) for x in call()}
        assert len(shapes) == 1
    for make in (lambda: torch.Size([1, 2]), lambda: torch.device("cpu"), lambda: torch.Generator()):
        made = [make() for _ in range(1000)]
        assert len({str(x) if isinstance(x, torch.device) else type(x) for x in made}) == 1
