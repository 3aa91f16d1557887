"""Turns measurements into tables and into a line per target."""

from collections.abc import Iterable, Iterator
from statistics import median
from typing import Any

Results = dict[str, Any]
Line = dict[str, Any]

MAX_KEYS = 50
MAX_COMMANDS = {'next': 6, 'done': 9}
MAX_MORE_TO_CLOSE = 4
MAX_GROWTH = 1.3
MIN_OF_FLOOR = 0.5
ROUND_TRIPS_PER_S = 150
NEXT_MS = 10
GAME_SHARE, GAME_AWARDS, GAME_ANSWERS = 1.5, 50, 2_000
LIST_MS, LIST_KEYS = 1_000, 50_000
ROUTES = ('next', 'next?ahead=1', 'done', 'done, closes', 'skip', 'leaderboard', 'home page')


def percentile(values: Iterable[float], share: float) -> float:
    """The value that ``share`` (0 … 1) of the values do not exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def timing(runs: list[Line], who: str, route: str) -> tuple[float, float]:
    """Median over the runs of their p50 and of their p95, in milliseconds; zeros if the route was not timed."""
    timed = [run[who][route] for run in runs if run[who].get(route)] or [[]]
    return median(percentile(ms, 0.5) for ms in timed), median(percentile(ms, 0.95) for ms in timed)


def tables(results: Results) -> str:
    """All sizes, for people."""
    sizes = [line for size in results['sizes'] for line in _size_tables(size, results['sites'][str(size)])]
    return '\n'.join([*sizes, '', *game_table(results['game'])])


def targets(results: Results) -> list[Line]:
    """What the project has promised itself: ``{'target', 'number', 'met', 'where'}``."""
    sites: dict[int, Line] = {size: results['sites'][str(size)] for size in results['sizes']}
    found = list(_cost_targets(sites))
    if len(sites) > 1:
        found += _growth_targets(sites)
    found += _rate_targets(sites)
    found += _list_targets(sites)
    found += game_targets(results['game'])
    return found


def target_lines(found: list[Line]) -> str:
    """The targets, for people."""
    return '\n'.join(
        f'  {"met" if line["met"] else "missed":<7} {line["target"]}: {_number(line["number"])}'
        + (f'  ({line["where"]})' if line['where'] else '')
        for line in found
    )


# --- tables -----------------------------------------------------------------------------------------------------------


def _size_tables(size: int, site: Line) -> Iterator[str]:
    data = site['data'][0]
    answers = data['answers_by_platform'] + data['answers_in_bulk']
    yield ''
    yield f'{size:,} open tasks, {answers:,} answers ({data["answers_by_platform"]} given through the platform, the others'
    yield 'written like them)'
    yield ''
    yield f'  {"one client":<26}{"p50 ms":>9}{"p95 ms":>9}{"of floor":>10}{"commands":>10}{"keys":>13}{"documents":>13}'
    floor = {route: timing(site['runs'], 'floor', route) for route in ('next', 'done')}
    for route, times in floor.items():
        yield f'  {"floor: " + route:<26}{_times(times)}'
    for route in ROUTES:
        costs = site['routes'].get(route)
        if costs:
            times = timing(site['runs'], 'site', route)
            share = _share(floor.get(route.partition(',')[0]), times)
            yield f'  {route:<26}{_times(times)}{share:>10}{_costs(costs)}'
    yield ''
    title = f'  {"8 clients, 2×8 threads":<26}{"next+done/s":>11}'
    yield f'{title}{"next p50":>9}{"p95":>7}{"done p50":>10}{"p95":>7}{"aborted":>9}'
    for who, name in (('floor', 'floor'), ('site', 'site')):
        rate = median(run[who]['per_second'] for run in site['http'])
        per_route = [timing(site['http'], who, route) for route in ('next', 'done')]
        (next_50, next_95), (done_50, done_95) = per_route
        aborted = sum(run[who].get('aborted', 0) for run in site['http'])
        share = f'{aborted / sum(len(run[who]["done"]) for run in site["http"]):.0%}'
        yield f'  {name:<26}{rate:>11.1f}{next_50:>9.1f}{next_95:>7.1f}{done_50:>10.1f}{done_95:>7.1f}{share:>9}'
    yield '  (aborted: transactions that met another one and were repeated, per hundred answers)'
    yield ''
    title = f'  {"next, for somebody who …":<66}{"p50 ms":>8}{"p95":>7}'
    yield f'{title}{"commands":>10}{"keys":>13}{"documents":>13}{"tables expired":>16}'
    variant = None
    for case in site['cases']:
        if case['variant'] != variant:
            variant = case['variant']
            yield f'  {variant}'
        times = [f'{percentile(case["ms"], share):.1f}' if case['ms'] else '' for share in (0.5, 0.95)]
        expired = f'{case["expired"]["commands"]} / {case["expired"]["keys"]:,}'
        yield f'    {case["name"]:<64}{times[0]:>8}{times[1]:>7}{_costs(case["costs"])}{expired:>16}'

    if site['lists']:
        yield from _lists_table(site['lists'])


def _lists_table(lists: list[Line]) -> Iterator[str]:
    yield ''
    yield f'  {"admin pages":<66}{"p50 ms":>8}{"max":>7}{"commands":>10}{"keys":>13}{"documents":>13}'
    for line in lists:
        times = f'{percentile(line["ms"], 0.5):>8.0f}{max(line["ms"]):>7.0f}'
        given_up = ' given up' if line['given_up'] else ''
        yield f'    {line["list"]:<64}{times}{_costs([line])}{given_up}'


def game_table(game: Line) -> list[str]:
    """What ``done`` takes with and without the game, for people."""
    lines = [
        f'{game["answers"]:,} answers with the game, {game["awards"]} badges; 200 rules, 10,000 work sessions each',
        '',
    ]
    lines.append(f'  {"done":<26}{"p50 ms":>9}{"p95 ms":>9}{"commands":>10}')
    for title, times, costs in (
        ('without the game', game['off'], []),
        ('with the game', game['on'], game['commands']),
        ('with the game, new badge', [], game['commands_reached']),
    ):
        pair = (percentile(times, 0.5), percentile(times, 0.95))
        lines.append(f'  {title:<26}{_times(pair)}{_range(costs) if costs else "":>10}')
    return lines


def _times(times: tuple[float, float]) -> str:
    return f'{times[0]:>9.2f}{times[1]:>9.2f}' if any(times) else f'{"":>18}'


def _share(floor: tuple[float, float] | None, times: tuple[float, float]) -> str:
    return f'{floor[0] / times[0]:.0%}' if floor and any(times) else ''


def _costs(costs: list[Line]) -> str:
    """The median; the largest too where it differs."""
    return ''.join(
        f'{_range([cost[what] for cost in costs]):>{width}}'
        for what, width in (('commands', 10), ('keys', 13), ('documents', 13))
    )


def _range(values: list[int]) -> str:
    middle = round(median(values))
    return f'{middle:,}' if middle == max(values) else f'{middle:,}–{max(values):,}'


# --- targets ----------------------------------------------------------------------------------------------------------


def _cost_targets(sites: dict[int, Line]) -> Iterator[Line]:
    bound = [
        (cost, f'{case["name"]}; {case["variant"]}; {size:,}')
        for size, site in sites.items()
        for case in site['cases']
        if case['promise'] == 'bound'
        for cost in case['costs']
    ]
    bound += [(cost, f'at work, {size:,}') for size, site in sites.items() for cost in site['routes']['next']]
    for what, limit in (('keys', MAX_KEYS), ('commands', MAX_COMMANDS['next'])):
        most, where = max(((cost[what], where) for cost, where in bound), key=lambda item: item[0])
        middle = round(median(cost[what] for cost, _ in bound))
        yield _line(f'{what} per next ≤ {limit}', most, most <= limit, f'{where}; the median is {middle}')
    done = [cost['commands'] for site in sites.values() for cost in site['routes']['done']]
    yield _line(f'commands per done ≤ {MAX_COMMANDS["done"]}', max(done), max(done) <= MAX_COMMANDS['done'])
    closing = [cost['commands'] for site in sites.values() for cost in site['routes'].get('done, closes', ())]
    more = round(median(closing) - median(done))  # the server's count of commits holds some of its own, now and then
    yield _line(f'more commands when a task closes ≤ {MAX_MORE_TO_CLOSE}', more, more <= MAX_MORE_TO_CLOSE)


def _growth_targets(sites: dict[int, Line]) -> Iterator[Line]:
    small, large = min(sites), max(sites)
    for route in ('next', 'done'):
        before, after = (timing(sites[size]['runs'], 'site', route) for size in (small, large))
        for index, name in enumerate(('p50', 'p95')):
            ratio = after[index] / before[index]
            where = f'{before[index]:.1f} ms at {small:,}, {after[index]:.1f} ms at {large:,}'
            yield _line(
                f'{name} of {route} at {large:,} ≤ {MAX_GROWTH} × that at {small:,}', ratio, ratio <= MAX_GROWTH, where
            )


def _rate_targets(sites: dict[int, Line]) -> Iterator[Line]:
    for size, site in sites.items():
        for route in ('next', 'done'):
            floor, own = timing(site['runs'], 'floor', route), timing(site['runs'], 'site', route)
            share = floor[0] / own[0]
            yield _line(
                f'{route} ≥ {MIN_OF_FLOOR:.0%} of its floor, one client, {size:,}', share, share >= MIN_OF_FLOOR
            )
        floor_rate, rate = (median(run[who]['per_second'] for run in site['http']) for who in ('floor', 'site'))
        share = rate / floor_rate
        where = f'{rate:.0f} of {floor_rate:.0f} a second'
        yield _line(
            f'next + done ≥ {MIN_OF_FLOOR:.0%} of their floors, 8 clients, {size:,}',
            share,
            share >= MIN_OF_FLOOR,
            where,
        )
        yield _line(f'aim: over {ROUND_TRIPS_PER_S} next + done a second, {size:,}', rate, rate > ROUND_TRIPS_PER_S)
        if size <= 100_000:
            p50, _ = timing(site['runs'], 'site', 'next')
            yield _line(f'aim: next under {NEXT_MS} ms for one person, {size:,}', p50, p50 < NEXT_MS)


def _list_targets(sites: dict[int, Line]) -> Iterator[Line]:
    for size, site in sites.items():
        if not site['lists']:
            continue
        lists = [line for line in site['lists'] if not line['list'].startswith('overview')]
        slowest = max(lists, key=lambda line: percentile(line['ms'], 0.5))
        took = percentile(slowest['ms'], 0.5)
        met = took <= LIST_MS and not any(line['given_up'] for line in lists)
        yield _line(f'ms of a list of the admin pages ≤ {LIST_MS}, {size:,}', took, met, slowest['list'])
        longest = max(lists, key=lambda line: line['keys'] + line['documents'])
        most = longest['keys'] + longest['documents']
        name = f'keys and documents of a list of the admin pages ≤ {LIST_KEYS:,}, {size:,}'
        yield _line(name, most, most <= LIST_KEYS, longest['list'])


def game_targets(game: Line) -> Iterator[Line]:
    """Those of the game."""
    for name, share in (('p50', 0.5), ('p95', 0.95)):
        off, on = percentile(game['off'], share), percentile(game['on'], share)
        where = f'{on:.1f} ms with, {off:.1f} ms without'
        ratio = on / off
        yield _line(f'{name} of done with the game ≤ {GAME_SHARE} × without', ratio, ratio <= GAME_SHARE, where)
    most, least = max(game['commands']), min(game['commands'])
    yield _line('commands per done with the game, no badge: always the same', most, most == least, f'from {least}')
    awards = round(game['awards'] * GAME_ANSWERS / game['answers'])
    where = f'{game["awards"]} in {game["answers"]:,}'
    yield _line(f'badges for {GAME_ANSWERS:,} answers ≥ {GAME_AWARDS}', awards, awards >= GAME_AWARDS, where)


def _line(target: str, number: float, met: bool, where: str = '') -> Line:
    return {'target': target, 'number': number, 'met': met, 'where': where}


def _number(number: float) -> str:
    return f'{number:,}' if isinstance(number, int) else f'{number:.2f}'
