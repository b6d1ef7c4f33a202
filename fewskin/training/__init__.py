"""Training: the engine, what it trains, and the predictor that comes out."""
