// Judges answers against the recorded ones they were made of: node judge_recorded.mjs FIXTURES TASKS.json
//
// TASKS.json: [{"case": "provider/name", "mode", "format", "stream", "status", "file"}]. Prints a JSON list of
// {"task", "problems"} for every answer that must be different.
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [fixtures, tasksFile] = process.argv.slice(2);
const { summarise, compare, loadCase } = await import(pathToFileURL(path.resolve(fixtures, 'summarise.mjs')));

function problemsOf(task, body) {
  const got = summarise(task.format, body, task.status);
  if (task.status < 400 && (got.mode === 'sse') !== task.stream) return [`the answer is ${got.mode}`];
  if (task.mode === 'cut')
    return got.error ? [] : [`cut off, and yet no error: finish ${got.finish}`];
  const { meta, body: recorded } = loadCase(path.join(fixtures, task.case));
  const want = summarise(meta.format, recorded, meta.status);
  return compare(want, got).filter(difference => difference.level === 'must')
    .map(({ field, want: wanted, got: found }) => `${field}: want ${JSON.stringify(wanted)}, got ${JSON.stringify(found)}`);
}

const bad = [];
for (const task of JSON.parse(fs.readFileSync(tasksFile, 'utf8'))) {
  const problems = problemsOf(task, fs.readFileSync(task.file));
  if (problems.length) bad.push({ task, problems });
}
console.log(JSON.stringify(bad));
