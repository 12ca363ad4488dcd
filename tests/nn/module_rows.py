"""A row for each module class: how it is made, and what it is called with. Both are Python expressions.

`x(2, 3)` is a tensor of normal numbers that requires a gradient, `p(2, 3)` one of numbers between 0 and 1,
`i(5, 2, 3)` one of integers below 5, `s(2, 3)` one of 1 and -1.
"""

ROWS = """
nn.Identity(3, a=1) | x(2, 3)
nn.Linear(3, 4) | x(2, 3)
nn.Linear(3, 4, bias=False, dtype=torch.float64) | x(5, 2, 3).double()
nn.Linear(8, 8) | x(8, 8)
nn.Bilinear(2, 3, 4) | x(5, 2), x(5, 3)
nn.Conv1d(2, 4, 3) | x(2, 2, 9)
nn.Conv1d(2, 4, 3, padding="same", dilation=2) | x(2, 2, 9)
nn.Conv2d(2, 4, (3, 2), stride=2, padding=1) | x(2, 2, 7, 7)
nn.Conv2d(4, 4, 3, groups=2, bias=False, padding=(1, 2), padding_mode="circular") | x(2, 4, 5, 5)
nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect") | x(2, 5, 5)
nn.Conv3d(1, 2, 2) | x(2, 1, 3, 3, 3)
nn.ConvTranspose1d(2, 4, 3, stride=2, output_padding=1) | x(2, 2, 5)
nn.ConvTranspose2d(2, 4, 3, stride=2) | x(2, 2, 4, 4), [9, 10]
nn.ConvTranspose2d(4, 2, 3, groups=2, dilation=2) | x(4, 4, 4)
nn.ConvTranspose3d(1, 2, 2) | x(2, 1, 2, 2, 2)
nn.LazyLinear(4) | x(2, 3)
nn.LazyConv1d(4, 3) | x(2, 2, 9)
nn.LazyConv2d(4, 3, bias=False) | x(2, 2, 7, 7)
nn.LazyConv3d(2, 2) | x(2, 1, 3, 3, 3)
nn.LazyConvTranspose1d(4, 3) | x(2, 2, 9)
nn.LazyConvTranspose2d(4, 3, stride=2) | x(2, 2, 4, 4)
nn.LazyConvTranspose3d(2, 2) | x(2, 1, 2, 2, 2)
nn.LazyBatchNorm1d() | x(5, 3)
nn.LazyBatchNorm2d() | x(2, 3, 4, 4)
nn.LazyBatchNorm3d(affine=False) | x(2, 3, 2, 2, 2)
nn.LazyInstanceNorm1d() | x(2, 3, 4)
nn.LazyInstanceNorm2d() | x(2, 3, 4, 4)
nn.LazyInstanceNorm3d() | x(2, 3, 2, 2, 2)
nn.MaxPool1d(3, 2, 1) | x(2, 3, 9)
nn.MaxPool2d(2) | x(2, 3, 6, 6)
nn.MaxPool2d((3, 2), stride=1, dilation=2, return_indices=True, ceil_mode=True) | x(2, 3, 6, 6)
nn.MaxPool3d(2) | x(2, 3, 4, 4, 4)
nn.MaxUnpool1d(2) | x(1, 1, 2), torch.tensor([[[1, 2]]])
nn.MaxUnpool2d(2) | x(1, 1, 1, 2), torch.tensor([[[[1, 6]]]])
nn.MaxUnpool3d(2) | x(1, 1, 1, 1, 1), torch.tensor([[[[[5]]]]])
nn.AvgPool1d(3, 2) | x(2, 3, 9)
nn.AvgPool2d((2, 3), padding=1, count_include_pad=False) | x(2, 3, 6, 6)
nn.AvgPool2d(2, divisor_override=3, ceil_mode=True) | x(2, 3, 5, 5)
nn.AvgPool3d(2) | x(2, 3, 4, 4, 4)
nn.AdaptiveAvgPool1d(4) | x(2, 3, 9)
nn.AdaptiveAvgPool2d((2, None)) | x(2, 3, 6, 6)
nn.AdaptiveAvgPool3d(2) | x(2, 3, 4, 4, 4)
nn.AdaptiveMaxPool1d(4) | x(2, 3, 9)
nn.AdaptiveMaxPool2d(2, return_indices=True) | x(2, 3, 6, 6)
nn.AdaptiveMaxPool3d(2) | x(2, 3, 4, 4, 4)
nn.FractionalMaxPool2d(2, output_size=3) | x(2, 3, 6, 6)
nn.FractionalMaxPool2d(2, output_ratio=0.5) | x(2, 3, 6, 6)
nn.FractionalMaxPool3d(2, output_size=2) | x(2, 3, 5, 5, 5)
nn.LPPool1d(2, 3) | p(2, 3, 9)
nn.LPPool2d(1.5, 2, stride=1) | p(2, 3, 6, 6)
nn.LPPool3d(2, 2) | p(2, 3, 4, 4, 4)
nn.ZeroPad1d(1) | x(2, 3)
nn.ZeroPad2d((1, 0, 2, 1)) | x(1, 2, 3)
nn.ZeroPad3d(1) | x(1, 2, 2, 2)
nn.ConstantPad1d(1, 3.5) | x(2, 3)
nn.ConstantPad2d((1, 0, 2, 1), -1) | x(1, 2, 3)
nn.ConstantPad3d(1, 2.0) | x(1, 2, 2, 2)
nn.ReflectionPad1d(2) | x(1, 2, 4)
nn.ReflectionPad2d((1, 0, 2, 1)) | x(1, 2, 4, 4)
nn.ReflectionPad3d(1) | x(1, 2, 3, 3, 3)
nn.ReplicationPad1d(2) | x(1, 2, 4)
nn.ReplicationPad2d((1, 0, 2, 1)) | x(1, 2, 4, 4)
nn.ReplicationPad3d(1) | x(1, 2, 3, 3, 3)
nn.CircularPad1d(2) | x(1, 2, 4)
nn.CircularPad2d((1, 0, 2, 1)) | x(1, 2, 4, 4)
nn.CircularPad3d(1) | x(1, 2, 3, 3, 3)
nn.ReLU() | x(2, 3)
nn.ReLU(inplace=True) | x(2, 3) * 1
nn.RReLU() | x(2, 3)
nn.Hardtanh(-0.5, 0.5) | x(2, 3)
nn.ReLU6() | x(2, 3) * 4
nn.Sigmoid() | x(2, 3)
nn.Hardsigmoid() | x(2, 3) * 4
nn.Tanh() | x(2, 3)
nn.SiLU() | x(2, 3)
nn.Mish(inplace=True) | x(2, 3) * 1
nn.Hardswish() | x(2, 3) * 4
nn.ELU(0.5) | x(2, 3)
nn.CELU(0.5) | x(2, 3)
nn.SELU() | x(2, 3)
nn.GLU() | x(2, 4)
nn.GELU() | x(2, 3)
nn.GELU("tanh") | x(2, 3)
nn.Hardshrink(0.3) | x(2, 3)
nn.LeakyReLU(0.2, True) | x(2, 3) * 1
nn.LogSigmoid() | x(2, 3)
nn.Softplus(2, 1) | x(2, 3)
nn.Softshrink(0.3) | x(2, 3)
nn.PReLU() | x(2, 3)
nn.PReLU(3, 0.5) | x(2, 3, 2)
nn.Softsign() | x(2, 3)
nn.Tanhshrink() | x(2, 3)
nn.Softmin(1) | x(2, 3)
nn.Softmax(dim=0) | x(2, 3)
nn.Softmax2d() | x(2, 3, 2, 2)
nn.LogSoftmax(-1) | x(2, 3)
nn.Threshold(0.1, 20) | x(2, 3)
nn.MultiheadAttention(8, 2) | x(5, 3, 8), x(4, 3, 8), x(4, 3, 8)
nn.MultiheadAttention(8, 2, batch_first=True, add_bias_kv=True, add_zero_attn=True) | \
x(3, 5, 8), x(3, 4, 8), x(3, 4, 8)
nn.MultiheadAttention(8, 4, kdim=3, vdim=5, bias=False) | x(5, 3, 8), x(4, 3, 3), x(4, 3, 5), None, False
nn.MultiheadAttention(8, 2) | \
x(3, 8), x(3, 8), x(3, 8), torch.tensor([False, False, True]), True, torch.ones(3, 3).triu(1).bool(), False
nn.BatchNorm1d(3) | x(5, 3)
nn.BatchNorm1d(3, affine=False, momentum=None) | x(5, 3, 2)
nn.BatchNorm2d(3, track_running_stats=False) | x(2, 3, 4, 4)
nn.BatchNorm2d(3, bias=False) | x(2, 3, 4, 4)
nn.BatchNorm3d(3, eps=0.1) | x(2, 3, 2, 2, 2)
nn.SyncBatchNorm(3) | x(5, 3)
nn.InstanceNorm1d(3) | x(2, 3, 4)
nn.InstanceNorm2d(3, affine=True, track_running_stats=True) | x(2, 3, 4, 4)
nn.InstanceNorm3d(3) | x(3, 2, 2, 2)
nn.GroupNorm(2, 4) | x(2, 4, 3)
nn.GroupNorm(1, 4, affine=False) | x(2, 4)
nn.LayerNorm(3) | x(2, 3)
nn.LayerNorm((2, 3), bias=False) | x(4, 2, 3)
nn.LayerNorm([3], elementwise_affine=False) | x(2, 3)
nn.RMSNorm(3) | x(2, 3)
nn.RMSNorm((2, 3), eps=0.1, elementwise_affine=False) | x(4, 2, 3)
nn.LocalResponseNorm(2) | x(2, 4, 3)
nn.CrossMapLRN2d(3) | x(2, 4, 3, 3)
nn.Dropout(0.3) | x(4, 5)
nn.Dropout1d(0.3) | x(4, 5, 2)
nn.Dropout2d(0.3) | x(4, 5, 2, 2)
nn.Dropout3d(0.3) | x(4, 5, 2, 2, 2)
nn.AlphaDropout(0.3) | x(4, 5)
nn.FeatureAlphaDropout(0.3) | x(4, 5, 2)
nn.Embedding(5, 3) | i(5, 2, 4)
nn.Embedding(5, 3, padding_idx=-1) | i(5, 2, 4)
nn.Embedding.from_pretrained(torch.ones(5, 3), freeze=False, max_norm=1.0) | i(5, 2, 4)
nn.EmbeddingBag(5, 3) | i(5, 2, 4)
nn.EmbeddingBag(5, 3, mode="sum", padding_idx=0) | i(5, 8), torch.tensor([0, 3]), p(8)
nn.EmbeddingBag(5, 3, mode="max", include_last_offset=True) | i(5, 8), torch.tensor([0, 3, 8])
nn.RNN(3, 4) | x(5, 2, 3)
nn.RNN(3, 4, 2, "relu", bidirectional=True) | x(5, 2, 3), x(4, 2, 4)
nn.LSTM(3, 4) | x(5, 2, 3)
nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True, dropout=0.5, proj_size=2) | x(2, 5, 3)
nn.LSTM(3, 4, bias=False) | x(5, 3), (x(1, 4), x(1, 4))
nn.LSTM(3, 4, bidirectional=True) | \
nn.utils.rnn.pack_padded_sequence(x(5, 3, 3), [2, 5, 3], enforce_sorted=False)
nn.GRU(3, 4, 2) | x(5, 2, 3)
nn.GRU(3, 4, batch_first=True) | nn.utils.rnn.pack_padded_sequence(x(3, 5, 3), [5, 2, 1], True), x(1, 3, 4)
nn.RNNCell(3, 4) | x(2, 3)
nn.RNNCell(3, 4, nonlinearity="relu") | x(3), x(4)
nn.LSTMCell(3, 4) | x(2, 3), (x(2, 4), x(2, 4))
nn.GRUCell(3, 4, bias=False) | x(2, 3)
nn.Upsample(scale_factor=2) | x(1, 2, 3)
nn.Upsample(size=(5, 7), mode="bilinear") | x(1, 2, 3, 3)
nn.Upsample(scale_factor=1.5, mode="trilinear", align_corners=True) | x(1, 1, 2, 3, 3)
nn.UpsamplingNearest2d(scale_factor=2) | x(1, 2, 3, 3)
nn.UpsamplingBilinear2d(size=5) | x(1, 2, 3, 3)
nn.PixelShuffle(2) | x(1, 8, 2, 2)
nn.PixelUnshuffle(2) | x(1, 2, 4, 4)
nn.ChannelShuffle(2) | x(1, 4, 2, 2)
nn.Fold((4, 5), (2, 2)) | x(1, 12, 12)
nn.Unfold((2, 3), padding=1, stride=2) | x(2, 2, 4, 5)
nn.Flatten() | x(2, 3, 4)
nn.Unflatten(1, (2, 3)) | x(2, 6)
nn.CosineSimilarity(dim=0) | x(3, 2), x(3, 2)
nn.PairwiseDistance(p=1, keepdim=True) | x(3, 2), x(3, 2)
nn.L1Loss() | x(3, 2), x(3, 2)
nn.MSELoss(reduction="none") | x(3, 2), x(3, 2)
nn.MSELoss(reduction="sum") | x(3, 2), x(3, 2)
nn.CrossEntropyLoss() | x(4, 3), i(3, 4)
nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0]), label_smoothing=0.1, ignore_index=1) | \
x(4, 3), i(3, 4)
nn.NLLLoss(torch.tensor([1.0, 2.0, 3.0]), reduction="sum") | x(4, 3), i(3, 4)
nn.NLLLoss2d() | x(2, 3, 2, 2), i(3, 2, 2, 2)
nn.PoissonNLLLoss(full=True) | x(4), i(5, 4).float()
nn.GaussianNLLLoss(full=True) | x(4), x(4), p(4)
nn.KLDivLoss(reduction="batchmean") | x(2, 3), p(2, 3)
nn.KLDivLoss(reduction="sum", log_target=True) | x(2, 3), x(2, 3)
nn.BCELoss() | p(4), p(4)
nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 2.0])) | x(3, 2), p(3, 2)
nn.HingeEmbeddingLoss() | x(4), s(4)
nn.MultiLabelMarginLoss() | x(2, 3), torch.tensor([[0, 2, -1], [1, -1, 0]])
nn.SmoothL1Loss(beta=0.5) | x(4), x(4)
nn.HuberLoss("sum", 0.5) | x(4), x(4)
nn.SoftMarginLoss() | x(4), s(4)
nn.MultiLabelSoftMarginLoss() | x(2, 3), i(2, 2, 3).float()
nn.CosineEmbeddingLoss(0.1) | x(3, 2), x(3, 2), s(3)
nn.MarginRankingLoss(0.5) | x(4), x(4), s(4)
nn.MultiMarginLoss(2, 0.5, torch.tensor([1.0, 2.0, 3.0])) | x(4, 3), i(3, 4)
nn.TripletMarginLoss(swap=True) | x(3, 2), x(3, 2), x(3, 2)
nn.TripletMarginWithDistanceLoss() | x(3, 2), x(3, 2), x(3, 2)
nn.CTCLoss() | \
x(6, 2, 4).log_softmax(2), torch.tensor([[1, 2], [3, 3]]), torch.tensor([6, 5]), torch.tensor([2, 2])
nn.LinearCrossEntropyLoss(3, 4, bias=True) | x(5, 3), i(4, 5)
nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5, 10], head_bias=True) | x(6, 16), torch.tensor([0, 4, 7, 19, 12, 5])
nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)) | x(2, 3)
nn.ModuleList([nn.Linear(2, 3), nn.ReLU(), nn.ReLU()]) |
nn.ModuleDict({"a": nn.Linear(2, 3), "b": nn.ReLU()}) |
nn.ParameterList([torch.ones(2), 3]) |
nn.ParameterDict({"b": torch.ones(2), "a": torch.zeros(3)}) |
nn.TransformerEncoderLayer(8, 2, 16) | x(5, 3, 8)
nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True, norm_first=True) | \
x(3, 5, 8), None, torch.zeros(3, 5).bool()
nn.TransformerDecoderLayer(8, 2, 16) | x(5, 3, 8), x(4, 3, 8)
nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2, nn.LayerNorm(8), False) | \
x(5, 3, 8), torch.zeros(5, 5)
nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), 2) | x(5, 3, 8), x(4, 3, 8)
nn.Transformer(8, 2, 1, 1, 16, batch_first=True) | \
x(3, 5, 8), x(3, 4, 8), None, nn.Transformer.generate_square_subsequent_mask(4)
"""

MODULES = [[part.strip() for part in line.split(" |")] for line in ROWS.strip().splitlines()]


def world(torch):
    """The names that the expressions use, for one library."""

    def normal(*shape):
        return torch.randn(shape, requires_grad=True)

    def positive(*shape):
        return torch.rand(shape, requires_grad=True)

    def signs(*shape):
        return torch.randint(0, 2, shape) * 2 - 1

    def integers(high, *shape):
        return torch.randint(0, high, shape)

    return {"torch": torch, "nn": torch.nn, "x": normal, "p": positive, "s": signs, "i": integers}


def run(torch, module, given, seed=0):
    """What a row gives: the module, its initial state, its results, their gradients, its state thereafter."""
    names = world(torch)
    torch.manual_seed(seed)
    made = eval(module, names)
    first = {k: v.clone() for k, v in made.state_dict().items() if not torch.nn.parameter.is_lazy(v)}
    if not given:
        return made, first, [], [], first
    torch.manual_seed(seed + 1)
    inputs = eval(f"({given},)", names)
    results = list(tensors(torch, made(*inputs)))
    leaves = [t for t in (*tensors(torch, inputs), *made.parameters()) if t.requires_grad]
    roots = [t for t in results if t.requires_grad]
    torch.manual_seed(seed + 2)
    weights = [torch.randn(t.shape, dtype=t.dtype) for t in roots]
    grads = torch.autograd.grad(roots, leaves, weights, allow_unused=True) if roots else []
    return made, first, results, grads, made.state_dict()


def tensors(torch, value):
    """The tensors within tuples and packed sequences."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors(torch, item)
