"""The facts of the system: one file per owner, plus how they are wrapped and addressed."""
