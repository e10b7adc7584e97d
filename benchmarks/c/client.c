/* What the Python programs of the benchmarks do, done in C on Qpid Proton, over plain TCP; prints JSON.
 *
 *   client send|one|receive PORT COUNT BODY_BYTES
 *
 * one: each message is sent when the one before is accepted, so that one is in flight. send: messages are encoded and sent as credit comes, until each is accepted. receive: with a credit of 1000, each
 * message is decoded, its body looked at, accepted and settled. The rate is messages per second, from the first one on.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <proton/codec.h>
#include <proton/connection.h>
#include <proton/delivery.h>
#include <proton/link.h>
#include <proton/message.h>
#include <proton/netaddr.h>
#include <proton/proactor.h>
#include <proton/sasl.h>
#include <proton/session.h>
#include <proton/transport.h>

#define CREDIT 1000

static struct {
  bool sends;
  long in_flight; /* how many may be under way */
  long count, started, finished;
  size_t body_size, room;
  char *body, *encoded;
  pn_message_t *message;
  struct timespec start;
} work;

static void fail(const char *what) {
  fprintf(stderr, "client: %s\n", what);
  exit(1);
}

static void one_more(pn_event_t *event) {
  if (++work.finished < work.count) return;
  struct timespec end;
  clock_gettime(CLOCK_MONOTONIC, &end);
  double seconds = (end.tv_sec - work.start.tv_sec) + (end.tv_nsec - work.start.tv_nsec) / 1e9;
  printf("{\"rate\": %.1f}\n", work.count / seconds);
  fflush(stdout);
  pn_connection_close(pn_event_connection(event));
}

static void start_one(void) {
  if (work.started++ == 0) clock_gettime(CLOCK_MONOTONIC, &work.start);
}

static void send_messages(pn_link_t *link) {
  while (work.started < work.count && pn_link_credit(link) > 0 && work.started - work.finished < work.in_flight) {
    start_one();
    pn_message_clear(work.message);
    pn_message_set_inferred(work.message, true);
    pn_data_put_binary(pn_message_body(work.message), pn_bytes(work.body_size, work.body));
    size_t size = work.room;
    if (pn_message_encode(work.message, work.encoded, &size)) fail("a message can't be encoded");
    pn_delivery(link, pn_dtag((const char *)&work.started, sizeof work.started));
    pn_link_send(link, work.encoded, size);
    pn_link_advance(link);
  }
}

static void receive_message(pn_event_t *event, pn_link_t *link, pn_delivery_t *delivery) {
  if (!pn_delivery_readable(delivery) || pn_delivery_partial(delivery)) return;
  if (work.started == work.count) return;
  start_one();
  ssize_t size = pn_link_recv(link, work.encoded, work.room);
  if (size < 0 || pn_message_decode(work.message, work.encoded, (size_t)size)) fail("what arrived is no message");
  pn_data_t *body = pn_message_body(work.message);
  if (!pn_data_next(body) || pn_data_get_binary(body).size != work.body_size) fail("a body of the wrong size");
  pn_delivery_update(delivery, PN_ACCEPTED);
  pn_delivery_settle(delivery);
  int credit = pn_link_credit(link);
  if (credit <= CREDIT / 2) pn_link_flow(link, CREDIT - credit);
  one_more(event);
}

static void open_all(pn_connection_t *connection) {
  pn_connection_set_container(connection, "benchmark-in-c");
  pn_connection_open(connection);
  pn_session_t *session = pn_session(connection);
  pn_session_open(session);
  pn_link_t *link = work.sends ? pn_sender(session, "messages") : pn_receiver(session, "messages");
  pn_terminus_set_address(work.sends ? pn_link_target(link) : pn_link_source(link), "messages");
  pn_link_open(link);
  if (!work.sends) pn_link_flow(link, CREDIT);
}

/* Returns whether there is more to come. */
static bool on_event(pn_event_t *event) {
  pn_delivery_t *delivery;
  switch (pn_event_type(event)) {
  case PN_CONNECTION_INIT: open_all(pn_event_connection(event)); return true;
  case PN_LINK_FLOW:
    if (work.sends) send_messages(pn_event_link(event));
    return true;
  case PN_DELIVERY:
    delivery = pn_event_delivery(event);
    if (!work.sends) {
      receive_message(event, pn_event_link(event), delivery);
    } else if (pn_delivery_remote_state(delivery) == PN_ACCEPTED) {
      pn_delivery_settle(delivery);
      one_more(event);
      if (work.in_flight < work.count) send_messages(pn_event_link(event));
    } else if (pn_delivery_updated(delivery)) {
      fail("a message wasn't accepted");
    }
    return true;
  case PN_TRANSPORT_CLOSED:
  case PN_PROACTOR_INACTIVE: return false;
  default: return true;
  }
}

int main(int argc, char **argv) {
  if (argc != 5 || (strcmp(argv[1], "send") && strcmp(argv[1], "one") && strcmp(argv[1], "receive"))) {
    fprintf(stderr, "usage: %s send|one|receive PORT COUNT BODY_BYTES\n", argv[0]);
    return 2;
  }
  work.sends = strcmp(argv[1], "receive");
  work.count = atol(argv[3]);
  work.in_flight = strcmp(argv[1], "one") ? work.count : 1;
  work.body_size = strtoull(argv[4], NULL, 10);
  work.room = work.body_size + 64;
  work.body = malloc(work.body_size + 1);
  work.encoded = malloc(work.room);
  work.message = pn_message();
  if (!work.body || !work.encoded || !work.message) fail("there is no memory for it");
  memset(work.body, 'x', work.body_size);
  pn_proactor_t *proactor = pn_proactor();
  pn_transport_t *transport = pn_transport();
  pn_sasl_allowed_mechs(pn_sasl(transport), "ANONYMOUS");
  char address[PN_MAX_ADDR];
  pn_proactor_addr(address, sizeof address, "127.0.0.1", argv[2]);
  pn_proactor_connect2(proactor, NULL, transport, address);
  bool more = true;
  while (more) {
    pn_event_batch_t *events = pn_proactor_wait(proactor);
    pn_event_t *event;
    while (more && (event = pn_event_batch_next(events))) more = on_event(event);
    pn_proactor_done(proactor, events);
  }
  if (work.finished < work.count) fail("the connection ended before all was done");
  return 0;
}
