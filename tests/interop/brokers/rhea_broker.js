// A small queue broker on rhea: node rhea_broker.js PORT [TLS-PORT CERTIFICATES-FOLDER [WEBSOCKET-PORT]] (HOST in the environment;
// default 127.0.0.1)
//
// Any address is a queue, made on first use; topic://NAME fans out; dynamic sources; anonymous relay (null target); browsing
// (distribution-mode copy); a selector filter of the form KEY = 'VALUE'. Logins: PLAIN amqp/secret and guest/guest, ANONYMOUS,
// none; EXTERNAL over TLS with a client certificate. In memory.
'use strict';

const fs = require('fs');
const path = require('path');
const rhea = require('rhea');

const USERS = { amqp: 'secret', guest: 'guest' };

// Keep each message's bytes as they came, so that its types survive: rhea decodes to JavaScript values and would encode those.
const decode = rhea.message.decode;
rhea.message.decode = bytes => {
    let message = {};
    try {
        message = decode(bytes || Buffer.alloc(0));
    } catch (error) {
        console.log('cannot decode a message:', error.message);
    }
    message.raw = bytes || Buffer.alloc(0);
    return message;
};

class Queue {
    constructor(name) {
        this.topic = name.startsWith('topic://');
        this.entries = []; // {data, count}, of which those before `head` are gone
        this.head = 0;
        this.subscribers = new Set();
    }

    put(data) {
        if (this.topic) {
            for (const subscriber of this.subscribers) subscriber.own.put(data);
        } else {
            this.entries.push({ data, count: 0 });
            this.pump();
        }
    }

    putBack(entry) {
        this.entries.splice(this.head, 0, entry);
    }

    next(subscriber) {
        for (let i = this.head; i < this.entries.length; i++) {
            if (!subscriber.matches(this.entries[i])) continue;
            return i === this.head ? this.entries[this.head++] : this.entries.splice(i, 1)[0];
        }
        return undefined;
    }

    pump() {
        for (const subscriber of this.subscribers) {
            if (subscriber.browses) {
                while (subscriber.position < this.entries.length && subscriber.link.sendable()) {
                    const entry = this.entries[subscriber.position++];
                    if (subscriber.matches(entry)) subscriber.send(entry);
                }
                continue;
            }
            let entry;
            while (subscriber.link.sendable() && (entry = this.next(subscriber)) !== undefined) subscriber.send(entry);
        }
        if (this.head > 1024 && this.head * 2 > this.entries.length) {
            this.entries.splice(0, this.head);
            this.head = 0;
        }
        for (const subscriber of this.subscribers) {
            if (subscriber.draining) {
                subscriber.draining = false;
                subscriber.link.set_drained(true);
                subscriber.link.connection._register(); // or its flow waits for something to be read
            }
        }
    }
}

class Subscriber {
    constructor(link, queue) {
        this.link = link;
        this.queue = queue;
        this.browses = link.source.distribution_mode === 'copy';
        this.position = queue.head;
        this.unsettled = new Map();
        for (const value of Object.values(link.source.filter || {})) {
            const text = value && value.value !== undefined ? value.value : value;
            const match = /^\s*(\w+)\s*=\s*'([^']*)'\s*$/.exec(text);
            if (match) this.filter = { key: match[1], value: match[2] };
        }
        if (queue.topic) {
            this.own = new Queue('');
            this.own.subscribers.add(this);
        }
        queue.subscribers.add(this);
    }

    matches(entry) {
        if (!this.filter) return true;
        entry.message = entry.message || decode(entry.data);
        return (entry.message.application_properties || {})[this.filter.key] === this.filter.value;
    }

    send(entry) {
        let data = entry.data;
        if (entry.count) {
            const message = decode(data);
            message.delivery_count = entry.count;
            data = rhea.message.encode(message);
        }
        const delivery = this.link.send(data, undefined, 0);
        this.link.session.outgoing.process(); // which counts the credit down: until then sendable() is true
        if (!this.browses) this.unsettled.set(delivery.id, entry);
    }

    outcome(delivery, name) {
        const entry = this.unsettled.get(delivery.id);
        if (!entry) return;
        this.unsettled.delete(delivery.id);
        if (name === 'released') {
            this.from().putBack(entry);
        } else if (name === 'modified') {
            if (delivery.remote_state.delivery_failed) entry.count++;
            if (!delivery.remote_state.undeliverable_here) this.from().putBack(entry);
        }
        setImmediate(() => this.from().pump());
    }

    from() {
        return this.own || this.queue;
    }

    close() {
        this.queue.subscribers.delete(this);
        if (this.own) return;
        for (const entry of [...this.unsettled.values()].reverse()) this.queue.putBack(entry);
        this.unsettled.clear();
        this.queue.pump();
    }
}

const queues = new Map();
const queueOf = name => {
    if (!queues.has(name)) queues.set(name, new Queue(name));
    return queues.get(name);
};

const container = rhea.create_container({ id: 'rhea-broker' });
container.sasl_server_mechanisms.enable_plain((user, password) => password !== undefined && USERS[user] === password);
container.sasl_server_mechanisms.enable_anonymous();

let dynamicNodes = 0;
container.on('sender_open', context => {
    const link = context.sender;
    let address = link.source.address;
    if (link.source.dynamic) {
        address = 'dynamic-' + process.pid + '-' + ++dynamicNodes;
        link.set_source({ address, dynamic: true });
    } else if (address) {
        link.set_source(link.source);
    } else {
        link.close({ condition: 'amqp:invalid-field', description: 'no source address' });
        return;
    }
    link.set_target(link.target);
    link.subscriber = new Subscriber(link, queueOf(address));
});
container.on('receiver_open', context => {
    context.receiver.set_source(context.receiver.source);
    context.receiver.set_target(context.receiver.target);
});
container.on('message', context => {
    const target = context.receiver.target && context.receiver.target.address;
    const address = target || context.message.to;
    if (!address) {
        context.delivery.reject({ condition: 'amqp:precondition-failed', description: 'no to' });
        return;
    }
    queueOf(address).put(Buffer.isBuffer(context.message) ? context.message : context.message.raw);
    context.delivery.accept();
});

// Not at once: a flow that comes in the same read as its attach would have the transfers overtake our attach.
const pumpLater = link => {
    if (link.subscriber) setImmediate(() => link.subscriber && link.subscriber.from().pump());
};
container.on('sendable', context => pumpLater(context.sender));
container.on('sender_flow', context => pumpLater(context.sender));
container.on('sender_draining', context => {
    if (context.sender.subscriber) context.sender.subscriber.draining = true;
    pumpLater(context.sender);
});
for (const name of ['accepted', 'released', 'rejected', 'modified']) {
    container.on(name, context => {
        const subscriber = context.sender && context.sender.subscriber;
        if (subscriber) subscriber.outcome(context.delivery, name);
    });
}

// Not at once: rhea reports the outcomes that came in the same read later than the link's end.
const gone = link => {
    if (!link || !link.subscriber) return;
    const subscriber = link.subscriber;
    setImmediate(() => {
        link.subscriber = null;
        subscriber.close();
    });
};
container.on('sender_close', context => gone(context.sender));
container.on('session_close', context => context.session.each_link(gone));
for (const event of ['connection_close', 'disconnected']) container.on(event, context => context.connection.each_link(gone));
for (const event of ['connection_error', 'session_error', 'sender_error', 'receiver_error', 'protocol_error', 'error']) {
    container.on(event, context => console.log(event, String(context.message || context.error || context.connection.error)));
}

const [port, tlsPort, certificates, webSocketPort] = process.argv.slice(2);
const options = {
    host: process.env.HOST || '127.0.0.1',
    receiver_options: { autoaccept: false, credit_window: 1000 },
    sender_options: { autosettle: true, treat_modified_as_released: false },
    idle_time_out: 30000,
};
container.listen({ port: Number(port), ...options });
if (tlsPort) {
    const read = name => fs.readFileSync(path.join(certificates, name));
    container.listen({
        port: Number(tlsPort),
        transport: 'tls',
        enable_sasl_external: true,
        requestCert: true,
        rejectUnauthorized: false,
        key: read('server.key'),
        cert: read('server.pem'),
        ca: [read('ca.pem')],
        ...options,
    });
}
if (webSocketPort) {
    const { WebSocketServer } = require('ws');
    const names = ['AMQPWSB10', 'amqp'];
    const handleProtocols = offered => names.find(name => offered.has(name)) || false;
    const server = new WebSocketServer({ host: options.host, port: Number(webSocketPort), handleProtocols });
    server.on('connection', socket => container.websocket_accept(socket, options));
}
console.log('listening');
