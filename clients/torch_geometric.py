"""Networks on graphs: convolutions by messages, batches of graphs, pooling and training."""

import torch
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import (
    GATConv,
    GCNConv,
    GINConv,
    NNConv,
    SAGEConv,
    TransformerConv,
    global_max_pool,
    global_mean_pool,
)
from torch_geometric.transforms import AddSelfLoops, NormalizeFeatures, ToUndirected
from torch_geometric.utils import degree, scatter, softmax, to_dense_adj

torch.manual_seed(0)
edges = torch.tensor([[0, 1, 2, 3, 4, 0, 2, 5], [1, 2, 3, 4, 0, 3, 5, 1]])
graph = NormalizeFeatures()(AddSelfLoops()(ToUndirected()(Data(x=torch.rand(6, 4), edge_index=edges))))
print("graph", graph.num_nodes, graph.num_edges, *degree(graph.edge_index[0]).tolist())
print("dense", *to_dense_adj(graph.edge_index)[0].sum(0).tolist())
weight = torch.rand(graph.num_edges)
for kind, layer in {
    "gcn": GCNConv(4, 3),
    "gat": GATConv(4, 3, heads=2),
    "sage": SAGEConv(4, 3),
    "gin": GINConv(torch.nn.Linear(4, 3)),
    "transformer": TransformerConv(4, 3, heads=2),
}.items():
    x = graph.x.clone().requires_grad_()
    out = layer(x, graph.edge_index)
    out.square().sum().backward()
    print(
        kind,
        out.sum().item(),
        x.grad.abs().sum().item(),
        *(p.grad.abs().sum().item() for p in layer.parameters()),
    )
layer = NNConv(4, 2, torch.nn.Linear(1, 8))
print("edges", layer(graph.x, graph.edge_index, weight[:, None]).sum().item())
print(
    "scatter",
    *(scatter(weight, graph.edge_index[0], reduce=how).sum().item() for how in ("sum", "mean", "max")),
)
print("softmax", softmax(weight, graph.edge_index[0]).sum().item())


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = GCNConv(4, 8), GCNConv(8, 8), torch.nn.Linear(16, 2)

    def forward(self, data):
        h = self.second(self.first(data.x, data.edge_index).relu(), data.edge_index).relu()
        return self.last(torch.cat([global_mean_pool(h, data.batch), global_max_pool(h, data.batch)], 1))


graphs = [Data(x=torch.randn(6, 4), edge_index=edges, y=torch.tensor([i % 2])) for i in range(8)]
net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
for _ in range(3):
    for batch in DataLoader(graphs, batch_size=4, shuffle=True):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(batch), batch.y)
        loss.backward()
        optimizer.step()
print("trained", loss.item(), *net(Batch.from_data_list(graphs)).sum(0).tolist())

REQUIRES = (
    "torch-geometric==2.8.1 typing_extensions==4.16.0 idna==3.20 fsspec==2026.9.0 jinja2==3.1.6 "
    "MarkupSafe==3.0.4 psutil==7.2.2 requests==2.34.2 charset-normalizer==3.5.3 urllib3==2.8.0 "
    "certifi==2026.10.19.post1 tqdm==4.70.1 xxhash==4.1.0"
)
