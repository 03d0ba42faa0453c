from django.conf import settings
from django.db import migrations, models


def tell_names_apart(apps, schema_editor):
    """Number the names that a person gave to several tokens; revoked ones keep theirs."""
    tokens = apps.get_model("discovery", "ApiToken").objects.filter(revoked_at=None)
    taken = set(tokens.values_list("user_id", "name"))
    seen = set()
    for token in tokens.order_by("pk"):
        key, number = (token.user_id, token.name), 2
        if key in seen:
            while (token.user_id, _numbered(token.name, number)) in taken:
                number += 1
            key = (token.user_id, _numbered(token.name, number))
            token.name = key[1]
            token.save(update_fields=["name"])
            taken.add(key)
        seen.add(key)


def _numbered(name, number):
    mark = f" ({number})"
    return name[: 100 - len(mark)] + mark


class Migration(migrations.Migration):

    dependencies = [
        ("discovery", "0036_audiences"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="skipped",
            name="errors",
            field=models.PositiveIntegerField(default=0, editable=False, help_text="Errors of the place when it was last read."),
        ),
        migrations.RunPython(tell_names_apart, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="apitoken",
            constraint=models.UniqueConstraint(condition=models.Q(("revoked_at", None)), fields=("user", "name"), name="unique_token_name"),
        ),
    ]
