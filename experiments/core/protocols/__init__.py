"""The same answers in other tools' formats: GrowthBook and OpenFeature's OFREP."""
