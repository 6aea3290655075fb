"""Where each experiment is, kept so that lists can order thousands of them without working out
every one.
"""

from __future__ import annotations

import pgtrigger
from django.db import models


class Standing(models.Model):
    """An experiment's state and urgency as its card gave them; wrong as soon as there is a
    ``Touch`` or ``due_at`` has passed.

    Nothing decides by it: it orders lists and finds what may wait for somebody. Pages show the card
    itself.
    """

    experiment = models.OneToOneField(
        "experiments.Experiment",
        on_delete=models.CASCADE,
        primary_key=True,
        db_constraint=False,
        related_name="standing",
    )
    state = models.CharField(max_length=40)
    urgency = models.PositiveSmallIntegerField()
    due_at = models.DateTimeField(null=True, help_text="When time alone changes it.")

    class Meta:
        db_table = "experiment_standings"
        indexes = [models.Index(fields=["urgency"], name="standings_urgency")]


class Touch(models.Model):
    """That a row changed which an experiment's card rests on. Triggers write it; it refers to no
    row, so writing never waits.
    """

    experiment_id = models.IntegerField()

    class Meta:
        db_table = "experiment_touches"


def touching(which: str) -> pgtrigger.Trigger:
    """A trigger that notes the experiments (an SQL query of their ids) that a changed row belongs
    to.
    """
    return pgtrigger.Trigger(
        name="touches_standing",
        when=pgtrigger.After,
        operation=pgtrigger.Insert | pgtrigger.Update,
        func=f"INSERT INTO experiment_touches (experiment_id) {which}; RETURN NULL;",
    )


OWN = "SELECT NEW.experiment_id"
OF_FLAG = "SELECT experiment_id FROM experiments WHERE flag = NEW.key"
OF_ITERATION = "SELECT experiment_id FROM experiment_iterations WHERE id = NEW.iteration_id"
OF_DECISION = "SELECT i.experiment_id FROM decisions d JOIN experiment_iterations i ON i.id = d.iteration_id WHERE d.id = NEW.decision_id"
