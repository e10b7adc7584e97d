// A rhea client over WebSocket: node rhea_websocket_client.js URL send|receive ADDRESS COUNT
//
// send: sends the messages "0", "1", ... and waits until each is accepted. receive: receives and accepts so many, and prints their bodies.
// Run it from a folder whose node_modules has rhea and ws.
'use strict';

const { createRequire } = require('module');
const load = createRequire(process.cwd() + '/');
const container = load('rhea').create_container();
const WebSocket = load('ws');

const [url, mode, address, count] = process.argv.slice(2);
const connection_details = container.websocket_connect(WebSocket)(url, ['amqp'], {});
const connection = container.connect({ connection_details, username: 'me', password: 'secret', reconnect: false });
let done = 0;
let sent = 0;

function finish(context) {
    if (++done === Number(count)) context.connection.close();
}

if (mode === 'send') {
    connection.open_sender(address);
    container.on('sendable', context => {
        while (sent < Number(count) && context.sender.sendable()) context.sender.send({ body: String(sent++) });
    });
    container.on('accepted', finish);
} else {
    connection.open_receiver({ source: address, autoaccept: true });
    container.on('message', context => {
        console.log(context.message.body);
        finish(context);
    });
}
container.on('disconnected', context => {
    if (done < Number(count)) {
        console.error('disconnected', String(context.error));
        process.exit(1);
    }
});
