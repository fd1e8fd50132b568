// Speaks REST with the node. The token stays in this tab: sessionStorage ends with it, and nothing sends it but the header of a request.

const Key = 'vmm-token';

// How long after a lost connection the next is tried, and after how long without a sign of life one is lost.
const Again = 1000;
const Silence = 40_000;

export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export const hasToken = () => sessionStorage.getItem(Key) !== null;
export const setToken = token => sessionStorage.setItem(Key, token);
export const forgetToken = () => sessionStorage.removeItem(Key);

const headers = more => ({ Authorization: `Bearer ${sessionStorage.getItem(Key)}`, ...more });

async function problemOf(response) {
  const body = await response.json().catch(() => null);
  return new Problem(response.status, body?.detail ?? `the node answers with ${response.status}`);
}

/** The answer to a request, as JSON. */
export async function call(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: headers(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: 'no-store',
    });
  } catch {
    throw new Problem(0, 'the node does not answer');
  }
  if (!response.ok) {
    throw await problemOf(response);
  }
  return response.json();
}

/** Asks for an operation of a VM. Its end comes with the events. */
export const operate = (vm, action, number = 0, text = '') => call('POST', `/v1/vms/${vm}/operations`, { action, number, text });

/**
 * Follows server-sent events until the signal, over all connections that it takes. EventSource could not send the token.
 * @param handlers by the name of the event; 'open' is called at each connection.
 * @param online is told whether there is a connection.
 * @returns when the signal has come, or with the problem for which it is not tried again.
 */
export async function follow(path, handlers, online, signal) {
  while (!signal.aborted) {
    try {
      await followOnce(path, handlers, online, signal);
    } catch (error) {
      if (error instanceof Problem && error.status >= 400 && error.status < 500) {
        throw error;
      }
    }
    if (!signal.aborted) {
      online(false);
      await new Promise(done => setTimeout(done, Again));
    }
  }
}

async function followOnce(path, handlers, online, signal) {
  const silent = new AbortController();
  const stop = AbortSignal.any([signal, silent.signal]);
  let timer = setTimeout(() => silent.abort(), Silence);
  try {
    const response = await fetch(path, { headers: headers(), signal: stop, cache: 'no-store' });
    if (!response.ok) {
      throw await problemOf(response);
    }
    online(true);
    handlers.open?.();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (true) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), Silence);
      const parts = (text + value).split('\n\n');
      text = parts.pop();
      for (const part of parts) {
        const event = /^event: (.*)\ndata: (.*)$/.exec(part);
        if (event !== null) {
          handlers[event[1]]?.(JSON.parse(event[2]));
        }
      }
    }
  } finally {
    clearTimeout(timer);
  }
}
