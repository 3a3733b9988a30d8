import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { curlLine } from '../../src/components/curl';
import { revision } from '../example';

test('a line for a shell: the needed arguments with an example each, no token', () => {
  const line = curlLine('http://127.0.0.1:9000/function/score', revision(1));
  assert.equal(line, `curl -H "$(jupyter-faas auth-header)" -d '{"text":"x"}' http://127.0.0.1:9000/function/score`);
});

test('an address cannot leave its quotes', () => {
  const line = curlLine(`http://h/function/a';rm -rf ~;'`, undefined);
  assert.ok(line.endsWith(`'http://h/function/a'\\'';rm -rf ~;'\\'''`), line);
});
