// Play a scenario with ocpp-rpc in strict mode and print every frame, one JSON object a line.
//
// Usage: node client.js SCENARIO.json
// The scenario: {endpoint, identity, keyHex, steps: [["call", action, payload] | ["wait"] | ["serve"]]}.
// In a payload "$transactionId" stands for the id that StartTransaction was answered with.
// "wait" prints {"waiting": true} and goes on when a line arrives on stdin. A call that a lost connection ended is
// made again once the client is back; ocpp-rpc reconnects by itself.
//
// "serve" does what the lines on stdin say, each a JSON object, until one is {"end": true}. {"answer": [kind, value]}
// says how the next CALL of the central system is answered: "result" (checked by strict mode), "raw" (a payload that
// nobody checks), "error" [code, description], "silence", or "drop" (the connection is cut instead); it prints
// {"ready": true}. {"call": [action, payload]} prints {"called": payload of the answer}.

const fs = require('fs');
const readline = require('readline');
const { NOREPLY, RPCClient, createRPCError } = require('ocpp-rpc');

const scenario = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const print = (told) => process.stdout.write(JSON.stringify(told) + '\n');

const client = new RPCClient({
    endpoint: scenario.endpoint,
    identity: scenario.identity,
    password: scenario.keyHex ? Buffer.from(scenario.keyHex, 'hex') : undefined,
    protocols: ['ocpp1.6'],
    strictMode: true,
    callTimeoutMs: 20000,
    backoff: { initialDelay: 100, maxDelay: 1000 },
});

client.on('message', ({ message, outbound }) => print({ direction: outbound ? '>' : '<', text: message.toString() }));
client.on('strictValidationFailure', ({ error, outbound }) => print({ invalid: String(error), outbound }));
client.on('badMessage', ({ error }) => print({ bad: String(error) }));
client.on('open', () => print({ open: client.protocol }));

const connectionLost = (error) => /disconnect|closed|socket/i.test(`${error.name} ${error.message}`);

async function call(action, payload) {
    for (;;) {
        try {
            return await client.call(action, payload);
        } catch (error) {
            if (!connectionLost(error)) throw error;
            print({ lost: String(error) });
        }
    }
}

const scripted = [];

client.handle(({ messageId }) => {
    const [kind, value] = scripted.shift() || ['error', ['InternalError', 'nothing was scripted']];
    if (kind === 'result') return value;
    if (kind === 'error') throw createRPCError(value[0], value[1]);
    if (kind === 'raw') client.sendRaw(JSON.stringify([3, messageId, value]));
    if (kind === 'drop') client._ws.terminate();
    return NOREPLY;
});

async function serve() {
    for (;;) {
        const { value: line, done } = await lines.next();
        const said = done ? { end: true } : JSON.parse(line);
        if (said.end) return;
        if (said.answer) {
            scripted.push(said.answer);
            print({ ready: true });
        } else {
            print({ called: await call(said.call[0], said.call[1]) });
        }
    }
}

async function play() {
    let transactionId = null;
    await client.connect();
    for (const [kind, action, payload] of scenario.steps) {
        if (kind === 'wait') {
            print({ waiting: true });
            await lines.next();
            continue;
        }
        if (kind === 'serve') {
            print({ serving: true });
            await serve();
            continue;
        }
        const filled = { ...payload };
        if (filled.transactionId === '$transactionId') filled.transactionId = transactionId;
        const answer = await call(action, filled);
        if (action === 'StartTransaction') transactionId = answer.transactionId;
    }
    await client.close();
}

play().then(
    () => process.exit(0),
    (error) => {
        process.stderr.write(`${error.stack || error}\n`);
        process.exit(1);
    },
);
