/* The far end of the benchmarks, in C on Qpid Proton: a server whose own speed is not what is measured.
 *
 *   far_end PORT BODY_BYTES [CERTIFICATE KEY]
 *
 * It listens on 127.0.0.1, prints "ready", and serves any number of connections until it is killed; with a certificate
 * and a key (PEM files) over TLS. What a client sends is read, thrown away and accepted. To a client that receives, it
 * sends one and the same encoded message, with a body of BODY_BYTES in one data section, for as much credit as it has.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <proton/connection.h>
#include <proton/delivery.h>
#include <proton/link.h>
#include <proton/listener.h>
#include <proton/netaddr.h>
#include <proton/proactor.h>
#include <proton/sasl.h>
#include <proton/session.h>
#include <proton/ssl.h>
#include <proton/transport.h>

#define SINK_CREDIT 4000
#define BACKLOG 128

static struct {
  char *bytes;
  size_t size;
} outgoing;

static pn_ssl_domain_t *tls;

/* A data section (00 53 75) with a binary of a one-byte size (a0) or a four-byte one (b0). */
static void make_message(size_t body) {
  unsigned char head[8] = {0x00, 0x53, 0x75, 0xa0, (unsigned char)body};
  size_t head_size = 5;
  if (body > 255) {
    head[3] = 0xb0;
    for (int i = 0; i < 4; i++) head[4 + i] = (unsigned char)(body >> (24 - 8 * i));
    head_size = 8;
  }
  outgoing.size = head_size + body;
  outgoing.bytes = malloc(outgoing.size);
  if (!outgoing.bytes) exit(1);
  memcpy(outgoing.bytes, head, head_size);
  memset(outgoing.bytes + head_size, 'x', body);
}

static void be_source(pn_link_t *link) {
  static uint32_t counter;
  for (int credit = pn_link_credit(link); credit > 0; credit--) {
    counter++;
    pn_delivery(link, pn_dtag((const char *)&counter, sizeof counter));
    pn_link_send(link, outgoing.bytes, outgoing.size);
    pn_link_advance(link);
  }
}

static void be_sink(pn_link_t *link, pn_delivery_t *delivery) {
  static char thrown_away[1 << 16];
  if (!pn_delivery_readable(delivery)) return;
  bool whole = !pn_delivery_partial(delivery);
  while (pn_link_recv(link, thrown_away, sizeof thrown_away) > 0) continue;
  if (!whole) return;
  pn_delivery_update(delivery, PN_ACCEPTED);
  pn_delivery_settle(delivery);
  int credit = pn_link_credit(link);
  if (credit <= SINK_CREDIT / 2) pn_link_flow(link, SINK_CREDIT - credit);
}

static void accept_connection(pn_listener_t *listener) {
  pn_transport_t *transport = pn_transport();
  pn_transport_set_server(transport);
  pn_transport_require_auth(transport, false);
  pn_sasl_allowed_mechs(pn_sasl(transport), "ANONYMOUS");
  if (tls && pn_ssl_init(pn_ssl(transport), tls, NULL)) exit(1);
  pn_listener_accept2(listener, NULL, transport);
}

static void accept_link(pn_link_t *link) {
  pn_terminus_copy(pn_link_source(link), pn_link_remote_source(link));
  pn_terminus_copy(pn_link_target(link), pn_link_remote_target(link));
  pn_link_open(link);
  if (pn_link_is_receiver(link)) pn_link_flow(link, SINK_CREDIT);
}

static void on_event(pn_event_t *event) {
  pn_delivery_t *delivery;
  pn_link_t *link;
  switch (pn_event_type(event)) {
  case PN_LISTENER_OPEN:
    puts("ready");
    fflush(stdout);
    return;
  case PN_LISTENER_ACCEPT: accept_connection(pn_event_listener(event)); return;
  case PN_LISTENER_CLOSE: fputs("far_end: can't listen on that port\n", stderr); exit(1);
  case PN_CONNECTION_REMOTE_OPEN: pn_connection_open(pn_event_connection(event)); return;
  case PN_CONNECTION_REMOTE_CLOSE: pn_connection_close(pn_event_connection(event)); return;
  case PN_SESSION_REMOTE_OPEN: pn_session_open(pn_event_session(event)); return;
  case PN_SESSION_REMOTE_CLOSE: pn_session_close(pn_event_session(event)); return;
  case PN_LINK_REMOTE_OPEN: accept_link(pn_event_link(event)); return;
  case PN_LINK_REMOTE_DETACH:
  case PN_LINK_REMOTE_CLOSE: pn_link_close(pn_event_link(event)); return;
  case PN_LINK_FLOW:
    link = pn_event_link(event);
    if (pn_link_is_sender(link)) be_source(link);
    return;
  case PN_DELIVERY:
    delivery = pn_event_delivery(event);
    link = pn_event_link(event);
    if (pn_link_is_receiver(link)) {
      be_sink(link, delivery);
    } else if (pn_delivery_updated(delivery)) {
      pn_delivery_settle(delivery);
    }
    return;
  default: return;
  }
}

int main(int argc, char **argv) {
  if (argc != 3 && argc != 5) {
    fprintf(stderr, "usage: %s PORT BODY_BYTES [CERTIFICATE KEY]\n", argv[0]);
    return 2;
  }
  make_message(strtoull(argv[2], NULL, 10));
  if (argc == 5) {
    tls = pn_ssl_domain(PN_SSL_MODE_SERVER);
    if (!tls || pn_ssl_domain_set_credentials(tls, argv[3], argv[4], NULL)) {
      fprintf(stderr, "%s: can't use the certificate %s with the key %s\n", argv[0], argv[3], argv[4]);
      return 1;
    }
  }
  pn_proactor_t *proactor = pn_proactor();
  char address[PN_MAX_ADDR];
  pn_proactor_addr(address, sizeof address, "127.0.0.1", argv[1]);
  pn_proactor_listen(proactor, pn_listener(), address, BACKLOG);
  while (true) {
    pn_event_batch_t *events = pn_proactor_wait(proactor);
    pn_event_t *event;
    while ((event = pn_event_batch_next(events))) on_event(event);
    pn_proactor_done(proactor, events);
  }
}
