"""Programs that draw random numbers: the same seed must give PyTorch's numbers, bit for bit.

Sixteen numbers and more take another way than fewer, and so do other layouts.
"""

SIZES = ("()", "5", "16", "19", "3, 40")
SEEDED = [
    *(f"torch.{name}({size})" for name in ("rand", "randn") for size in SIZES),
    *(
        f"torch.{name}(21, dtype=torch.{dtype})"
        for name in ("rand", "randn")
        for dtype in ("float64", "float16", "bfloat16", "complex64", "complex128")
    ),
    "torch.rand_like(torch.zeros(3, 7).t())",
    "torch.randn_like(torch.zeros(4, 9).t())",
    "torch.randint(10, (19,))",
    "torch.randint(-5, 2**40, (7,))",
    "torch.randint(0, 2**33, (7,))",
    "torch.randint(3, 9, (2, 3), dtype=torch.int32)",
    "torch.randint(0, 2, (9,), dtype=torch.bool)",
    "torch.randint(0, 200, (9,), dtype=torch.uint8)",
    "torch.randint(0, 100, (9,), dtype=torch.float32)",
    "torch.randint_like(torch.zeros(7), 3, 50)",
    "torch.randperm(0)",
    "torch.randperm(1)",
    "torch.randperm(37)",
    "torch.randperm(37, dtype=torch.int32)",
    "torch.randperm(300)",
    "torch.bernoulli(torch.full((20,), 0.3))",
    "torch.bernoulli(torch.linspace(0, 1, 20, dtype=torch.float64))",
    "torch.bernoulli(torch.zeros(20), 0.7)",
    "torch.zeros(20).bernoulli_()",
    "torch.zeros(20).bernoulli_(0.25)",
    "torch.zeros(3, 7, dtype=torch.int64).bernoulli_(0.25)",
    "torch.zeros(20).bernoulli_(torch.linspace(0, 1, 20))",
    "torch.zeros(7).normal_()",
    "torch.zeros(40).normal_(2.0, 0.5)",
    "torch.zeros(40, dtype=torch.float64).normal_(2.0, 0.5)",
    "torch.zeros(8, 6).t().normal_()",
    "torch.zeros(40)[::2].normal_()",
    "torch.zeros(7).uniform_()",
    "torch.zeros(40).uniform_(-1, 3)",
    "torch.zeros(40, dtype=torch.float64).uniform_(-1, 3)",
    "torch.zeros(40)[::2].uniform_(-1, 3)",
    "torch.zeros(19).exponential_()",
    "torch.zeros(19, dtype=torch.float64).exponential_(2.5)",
    "torch.zeros(19).geometric_(0.3)",
    "torch.zeros(19).cauchy_()",
    "torch.zeros(19, dtype=torch.float64).cauchy_(1.0, 2.0)",
    "torch.zeros(19).log_normal_()",
    "torch.zeros(19).random_()",
    "torch.zeros(19, dtype=torch.int64).random_(100)",
    "torch.zeros(19, dtype=torch.int32).random_(3, 9)",
    "torch.normal(0.0, 1.0, (5,))",
    "torch.normal(torch.zeros(20), 2.0)",
    "torch.normal(1.0, torch.ones(20))",
    "torch.normal(torch.arange(20.0), torch.ones(20))",
    "torch.multinomial(torch.tensor([0.1, 0.2, 0.7]), 8, replacement=True)",
    "torch.multinomial(torch.tensor([0.1, 0.2, 0.7, 0.4]), 3)",
    "torch.multinomial(torch.ones(3, 9), 4)",
    "torch.multinomial(torch.ones(3, 9, dtype=torch.float64), 12, True)",
    "torch.rand(5, generator=torch.Generator().manual_seed(7))",
    "torch.randn(20, generator=torch.Generator().manual_seed(-3))",
]
