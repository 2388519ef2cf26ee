"""Measure torchvision's ResNet-18 in your own training loop: python examples/own_loop.py [steps].

The images are random, so that it needs no download; with real ones, the loop stays the same.
"""

import sys

import torch
from torchvision.models import resnet18

import normscape


def main(steps: int) -> None:
    """Train a few steps and print what the probes have seen."""
    torch.manual_seed(0)
    model = resnet18(num_classes=10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    loss_fn = torch.nn.CrossEntropyLoss()
    probes = [
        normscape.InternalCovariateShift(["layer2.0.conv1", "fc"], every=2),
        normscape.Landscape(lr_multiples=[0.5, 1.0, 2.0], every=2),
        normscape.Activations(["layer4.1.conv2"], every=2),
    ]
    with normscape.observe(model, optimizer, loss_fn, probes) as seen:
        for _ in range(steps):
            images, labels = torch.randn(16, 3, 32, 32), torch.randint(10, (16,))
            with seen.step(labels):
                optimizer.zero_grad()
                loss_fn(model(images), labels).backward()
                optimizer.step()
            schedule.step()
    table = seen.table()
    print(table[table.quantity.isin(["ics_l2", "ics_cosine", "effective_beta"])].to_string(index=False))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
