/* A guest's side of a connection by vsock: `vsock connect PORT` or `vsock listen PORT`. Sends its input, says that it sends no more, and
   prints what comes until the other side says so. With a third word it is one of messages (SOCK_SEQPACKET): of 1, 2, 4 ... 65536 bytes and
   1 again, and those that come must be so too. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

static void must(int right, const char *what)
{
    if (!right) {
        perror(what);
        exit(1);
    }
}

static size_t length_of(int message)
{
    return (size_t)1 << message % 17;
}

static void put(int to, const char *bytes, ssize_t count)
{
    while (count > 0) {
        ssize_t put = write(to, bytes, count);
        must(put > 0, "write");
        bytes += put;
        count -= put;
    }
}

int main(int count, char **words)
{
    static char bytes[1 << 16];
    struct sockaddr_vm address = { .svm_family = AF_VSOCK };
    must(count == 3 || count == 4, "vsock connect|listen PORT [messages]");
    int messages = count == 4, sent = 0, received = 0;
    int listens = strcmp(words[1], "listen") == 0;
    address.svm_cid = listens ? VMADDR_CID_ANY : VMADDR_CID_HOST;
    address.svm_port = strtoul(words[2], NULL, 10);
    int link = socket(AF_VSOCK, messages ? SOCK_SEQPACKET : SOCK_STREAM, 0);
    must(link >= 0, "socket");
    if (listens) {
        must(bind(link, (struct sockaddr *)&address, sizeof address) == 0, "bind");
        must(listen(link, 1) == 0, "listen");
        fprintf(stderr, "listens\n");
        link = accept(link, NULL, NULL);
        must(link >= 0, "accept");
    } else {
        must(connect(link, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    }

    struct pollfd both[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = link, .events = POLLIN } };
    while (both[0].fd >= 0 || both[1].fd >= 0) {
        must(poll(both, 2, -1) > 0, "poll");
        if (both[0].fd >= 0 && both[0].revents != 0) {
            size_t most = messages ? length_of(sent++) : sizeof bytes;
            ssize_t got = read(STDIN_FILENO, bytes, most);
            while (messages && got > 0 && (size_t)got < most) {
                ssize_t more = read(STDIN_FILENO, bytes + got, most - got);
                must(more > 0, "a message that ends with the input");
                got += more;
            }

            if (got <= 0) {
                shutdown(link, SHUT_WR);
                both[0].fd = -1;
            } else {
                put(link, bytes, got);
            }
        }

        if (both[1].fd >= 0 && both[1].revents != 0) {
            ssize_t got = read(link, bytes, sizeof bytes);
            must(got >= 0, "read");
            must(!messages || got == 0 || (size_t)got == length_of(received++), "a message of this length");
            if (got == 0) {
                both[1].fd = -1;
            } else {
                put(STDOUT_FILENO, bytes, got);
            }
        }
    }

    return 0;
}
