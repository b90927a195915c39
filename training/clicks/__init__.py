"""Click models, propensities and labels from behaviour: what people did, turned into what was relevant."""
