"""Networks: backbones by name, with the weights they start from."""
