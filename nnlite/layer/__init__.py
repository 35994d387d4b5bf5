"""Layer: the contract and the tree of parts, its state, and the flat vectors Phi and dPhi."""
