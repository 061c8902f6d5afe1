"""What the dataset card of a recipe's training set says."""

from mizumashi.data.card import Origin
from mizumashi.gan.run import source_facts
from mizumashi.studies.recipe import REAL, Recipe
from mizumashi.studies.results import StudyResult


def origin(result: StudyResult, recipe: Recipe) -> Origin:
    """The origin of a recipe's training set, as the first seed of a finished study had it.

    Raises:
        InputError: the readings of a cell are missing or damaged.
    """
    plan, seed = result.plan, str(result.seeds[0])
    source = plan.source
    facts = [("recipe", str(recipe)), *source_facts(source, f", {source.tested} of them for testing alone")]
    if plan.few:
        facts.append(("target images among the real ones", f"{plan.few.count} of {result.target}"))
    if recipe.stages is not None:
        steps = recipe.steps(plan.gan.stages)
        facts.append(("stages", f"steps {', '.join(map(str, steps))} of {plan.gan.steps}"))
        facts += [("seed of the GAN and of the drawing", seed), ("precision", plan.gan.precision)]
    if recipe.mixed:
        facts.append(("seed of the mixing", seed))
    facts.append(("study made with", "; ".join(_versions(each) for each in plan.versions)))
    return Origin(
        title=f"{recipe} of {source.name}",
        made=_made(recipe, balance=plan.regime.balance),
        facts=tuple(facts),
        scores=(*_accuracies(result, recipe), *result.verdict.sentences),
        generated="none" if not recipe.mixed and recipe.real else "some" if recipe.real else "all",
        tags=("synthetic", "gan") if recipe.stages is not None else ("synthetic",) if recipe.smote else (),
    )


def _made(recipe: Recipe, *, balance: bool) -> str:
    others = "images between real ones and their neighbours (SMOTE)" if recipe.smote else "images drawn from a GAN"
    share = "as many as bring each class to the size of the largest" if balance else f"{recipe.share:.0%} of them"
    if not recipe.real:
        text = f"A training set of {others}, with the labels of the real images."
    elif recipe.mixed:
        text = f"A training set of real images and of {others}: {share}."
    else:
        text = "A training set of the real images alone, as they are."
    if recipe.classical:
        text += " Classical augmentation is not applied: a classifier is to shift, turn and degrade each image anew."
    return text


def _accuracies(result: StudyResult, recipe: Recipe) -> list[str]:
    """The mean accuracy on each real test set over the seeds, beside that of real images."""
    found = []
    for classifier in result.classifiers:
        recipes = result.recipes(classifier)
        if str(recipe) not in recipes:
            continue
        means = result.accuracy(classifier).mean(axis=2)
        for test in result.tested:
            place = result.tests.index(test)
            where = f"{classifier} on {test}" + result.counting
            text = f"Accuracy of {where}: {means[recipes.index(str(recipe)), place]:.3f}"
            if recipe != REAL:
                text += f" (of {REAL}: {means[recipes.index(str(REAL)), place]:.3f})"
            found.append(f"{text}, the mean over {len(result.seeds)} seed{'s' * (len(result.seeds) > 1)}.")
    return found


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())
