/*
 * The floor to measure against: one epoll loop that writes the same bytes as a hub does to the same number of
 * sockets, and does nothing else. GET subscribes, POST publishes its body to every subscriber and answers
 * when all were written to. Prints its port. Linux only: cc -O2 -o epoll epoll.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOCKETS = 65536, REQUEST = 16384, QUEUE = 1 << 20 };

/* What the socket did not take waits here; a subscriber with a full queue is cut, as a hub does. */
struct connection {
  char *request;
  size_t length;
  char *queue;
  size_t queued;
  int place; /* among the subscribers, or -1 */
};

static struct connection connections[SOCKETS];
static int subscribers[SOCKETS];
static int count;
static int loop;
static unsigned long sequence;

static const char head[] =
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n:\n\r\n";

static void drop(int fd) {
  struct connection *one = &connections[fd];
  if (one->place >= 0) {
    int last = subscribers[--count];
    subscribers[one->place] = last;
    connections[last].place = one->place;
  }
  free(one->request);
  free(one->queue);
  memset(one, 0, sizeof *one);
  close(fd);
}

static void watch(int fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  epoll_ctl(loop, EPOLL_CTL_MOD, fd, &event);
}

static void deliver(int fd, const char *bytes, size_t length) {
  struct connection *one = &connections[fd];
  size_t sent = 0;
  if (one->queued == 0) {
    ssize_t result = send(fd, bytes, length, MSG_NOSIGNAL);
    if (result < 0 && errno != EAGAIN) {
      shutdown(fd, SHUT_RDWR); /* the loop hears of it and drops it */
      return;
    }
    sent = result > 0 ? (size_t)result : 0;
    if (sent == length) return;
    if (one->queue == NULL) one->queue = malloc(QUEUE);
    watch(fd, EPOLLIN | EPOLLRDHUP | EPOLLOUT);
  }
  if (one->queued + length - sent > QUEUE) {
    shutdown(fd, SHUT_RDWR);
    return;
  }
  memcpy(one->queue + one->queued, bytes + sent, length - sent);
  one->queued += length - sent;
}

static void drain(int fd) {
  struct connection *one = &connections[fd];
  ssize_t sent = send(fd, one->queue, one->queued, MSG_NOSIGNAL);
  if (sent <= 0) return;
  memmove(one->queue, one->queue + sent, one->queued - (size_t)sent);
  one->queued -= (size_t)sent;
  if (one->queued == 0) watch(fd, EPOLLIN | EPOLLRDHUP);
}

static void subscribe(int fd) {
  connections[fd].place = count;
  subscribers[count++] = fd;
  deliver(fd, head, sizeof head - 1);
}

static void publish(int fd, const char *data, size_t length) {
  static char event[REQUEST + 256], frame[REQUEST + 512];
  char id[64], answer[256];
  snprintf(id, sizeof id, "urn:uuid:%08lx-0000-4000-8000-%012lx", sequence & 0xffffffff, sequence);
  sequence++;
  int size = snprintf(event, sizeof event, "id: %s\ndata: %.*s\n\n", id, (int)length, data);
  int total = snprintf(frame, sizeof frame, "%x\r\n%s\r\n", size, event);
  for (int at = 0; at < count; at++) deliver(subscribers[at], frame, (size_t)total);
  int bytes = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(id), id);
  send(fd, answer, (size_t)bytes, MSG_NOSIGNAL);
}

/* Handles the request when it is whole. */
static void handle(int fd) {
  struct connection *one = &connections[fd];
  one->request[one->length] = 0;
  char *end = strstr(one->request, "\r\n\r\n");
  if (end == NULL) return;
  char *body = end + 4;
  char *field = strcasestr(one->request, "\r\ncontent-length: ");
  size_t length = field != NULL && field < end ? strtoul(field + 18, NULL, 10) : 0;
  if (one->length - (size_t)(body - one->request) < length) return;
  int isSubscription = strncmp(one->request, "GET", 3) == 0;
  one->length = 0;
  if (isSubscription) subscribe(fd);
  else publish(fd, body, length);
}

static void receive(int fd) {
  struct connection *one = &connections[fd];
  ssize_t got = recv(fd, one->request + one->length, REQUEST - 1 - one->length, 0);
  if (got <= 0) {
    if (got == 0 || errno != EAGAIN) drop(fd);
    return;
  }
  one->length += (size_t)got;
  handle(fd);
}

static void welcome(int listener) {
  int one = 1;
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
    if (fd >= SOCKETS) {
      close(fd);
      continue;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connections[fd] = (struct connection){.request = malloc(REQUEST), .place = -1};
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = fd};
    epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
  }
}

int main(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 4096) != 0) return 1;
  getsockname(listener, (struct sockaddr *)&address, &length);
  loop = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[1024];
  epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  for (;;) {
    int events = epoll_wait(loop, ready, 1024, -1);
    for (int at = 0; at < events; at++) {
      int fd = ready[at].data.fd;
      if (fd == listener) {
        welcome(listener);
        continue;
      }
      if (ready[at].events & EPOLLOUT) drain(fd);
      if (ready[at].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) receive(fd);
    }
  }
}
