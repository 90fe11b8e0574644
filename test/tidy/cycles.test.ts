import assert from 'node:assert/strict';
import { posix } from 'node:path';
import { test } from 'node:test';
import { filesBelow, importsOf } from './source-files.ts';

type Graph = ReadonlyMap<string, readonly string[]>;

/** Groups of modules that reach each other (Tarjan's strongly connected components of more than one, or of a self-import). */
function cycles(graph: Graph): string[][] {
  const found: string[][] = [];
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const visit = (module: string): void => {
    order.set(module, order.size);
    let low = order.get(module)!;
    stack.push(module);
    for (const target of graph.get(module) ?? []) {
      if (!order.has(target)) visit(target);
      if (stack.includes(target)) low = Math.min(low, lowest.get(target) ?? order.get(target)!);
    }
    lowest.set(module, low);
    if (low !== order.get(module)) return;
    const group = stack.splice(stack.indexOf(module));
    if (group.length > 1 || (graph.get(module) ?? []).includes(module)) found.push(group.sort());
  };
  for (const module of graph.keys()) if (!order.has(module)) visit(module);
  return found;
}

test('no module of src imports itself by way of others, not even for a type', () => {
  const graph = new Map(
    filesBelow(['src'], /\.ts$/).map(({ path, text }) => [
      path,
      importsOf(text)
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => posix.join(posix.dirname(path), specifier)),
    ]),
  );
  assert.ok([...graph.values()].flat().length > graph.size, 'the imports were read');
  assert.deepEqual(cycles(graph), []);
});

test('the search finds cycles of one, two and three modules, and no others', () => {
  const graph = new Map([
    ['a', ['b', 'd']],
    ['b', ['c']],
    ['c', ['a']],
    ['d', ['e', 'f']],
    ['e', ['d']],
    ['f', ['g']],
    ['g', []],
    ['h', ['h', 'a']],
  ]);
  assert.deepEqual(cycles(graph), [['d', 'e'], ['a', 'b', 'c'], ['h']]);
});
