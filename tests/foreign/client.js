// Play a scenario with ocpp-rpc in strict mode and print every frame, one JSON object a line.
//
// Usage: node client.js SCENARIO.json
// The scenario: {endpoint, identity, keyHex, steps: [["call", action, payload] | ["wait"]]}.
// In a payload "$transactionId" stands for the id that StartTransaction was answered with.
// "wait" prints {"waiting": true} and goes on when a line arrives on stdin. A call that a lost connection ended is
// made again once the client is back; ocpp-rpc reconnects by itself.

const fs = require('fs');
const readline = require('readline');
const { RPCClient } = require('ocpp-rpc');

const scenario = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const print = (told) => process.stdout.write(JSON.stringify(told) + '\n');

const client = new RPCClient({
    endpoint: scenario.endpoint,
    identity: scenario.identity,
    password: Buffer.from(scenario.keyHex, 'hex'),
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

async function play() {
    let transactionId = null;
    await client.connect();
    for (const [kind, action, payload] of scenario.steps) {
        if (kind === 'wait') {
            print({ waiting: true });
            await lines.next();
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
