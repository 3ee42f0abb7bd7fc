// An Ethernet switch between network namespaces with a delay and a bandwidth per link, for kernels without netem. A
// frame may also occupy the link for a fixed time, like a message occupies a NIC.
//
// usage: switch DELAY_MICROSECONDS RATE_MBIT FRAME_MICROSECONDS NAMESPACE_FILE...    (a rate of 0: unlimited)
//
// Makes a TAP device `eth0` in each namespace, prints "ready" and forwards frames until it is killed.

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Address = std::array<unsigned char, 6>;
using Frame = std::vector<unsigned char>;

constexpr size_t kMaxFrame = 65536;
constexpr size_t kHeader = 14;
// Frames that a port holds before it drops: TCP slows down when frames are lost.
constexpr size_t kQueue = 4096;
constexpr int kBurst = 64;

struct Waiting {
  Clock::time_point due;
  Frame frame;
};

struct Port {
  int fd;
  std::deque<Waiting> queue;  // due times rise: the link sends one frame after the other
  Clock::time_point free;     // when the link has sent everything in the queue
};

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "switch: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

int open_file(const std::string& name, int flags) {
  int fd = open(name.c_str(), flags | O_CLOEXEC);
  if (fd < 0) fail(name);
  return fd;
}

void enter(int space) {
  if (setns(space, CLONE_NEWNET) != 0) fail("setns");
}

int make_device(const std::string& space_file) {
  int space = open_file(space_file, O_RDONLY);
  enter(space);
  close(space);
  int fd = open_file("/dev/net/tun", O_RDWR | O_NONBLOCK);
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  std::strcpy(request.ifr_name, "eth0");
  if (ioctl(fd, TUNSETIFF, &request) != 0) fail("TUNSETIFF");
  return fd;
}

class Switch {
 public:
  Switch(std::chrono::microseconds delay, double nanoseconds_per_byte, std::chrono::microseconds frame,
         std::vector<Port> ports)
      : delay_(delay), nanoseconds_per_byte_(nanoseconds_per_byte), frame_(frame), ports_(std::move(ports)) {}

  [[noreturn]] void run() {
    for (;;) {
      wait();
      for (size_t source = 0; source < ports_.size(); ++source) take(source);
      for (Port& port : ports_) deliver(port);
    }
  }

 private:
  void wait() {
    std::vector<pollfd> descriptors;
    std::optional<Clock::time_point> next;
    for (const Port& port : ports_) {
      descriptors.push_back({port.fd, POLLIN, 0});
      if (!port.queue.empty() && (!next || port.queue.front().due < *next)) next = port.queue.front().due;
    }
    timespec limit{};
    if (next) {
      auto left = std::max(Clock::duration::zero(), *next - Clock::now());
      limit.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(left).count();
      limit.tv_nsec = std::chrono::nanoseconds(left).count() % 1'000'000'000;
    }
    ppoll(descriptors.data(), descriptors.size(), next ? &limit : nullptr, nullptr);
  }

  void take(size_t source) {
    unsigned char bytes[kMaxFrame];
    for (int i = 0; i < kBurst; ++i) {
      ssize_t length = read(ports_[source].fd, bytes, sizeof bytes);
      if (length < static_cast<ssize_t>(kHeader)) return;
      Address to, from;
      std::memcpy(to.data(), bytes, to.size());
      std::memcpy(from.data(), bytes + to.size(), from.size());
      known_[from] = source;
      auto target = known_.find(to);
      for (size_t port = 0; port < ports_.size(); ++port) {
        if (port != source && (target == known_.end() || target->second == port)) {
          send(ports_[port], Frame(bytes, bytes + length));
        }
      }
    }
  }

  void send(Port& port, Frame frame) {
    if (port.queue.size() >= kQueue) return;
    auto time = frame_ + std::chrono::nanoseconds(static_cast<long>(frame.size() * nanoseconds_per_byte_));
    port.free = std::max(port.free, Clock::now()) + time;
    port.queue.push_back({port.free + delay_, std::move(frame)});
  }

  void deliver(Port& port) {
    while (!port.queue.empty() && port.queue.front().due <= Clock::now()) {
      const Frame& frame = port.queue.front().frame;
      // A frame that the device does not take is lost, like on a wire.
      [[maybe_unused]] ssize_t written = write(port.fd, frame.data(), frame.size());
      port.queue.pop_front();
    }
  }

  std::chrono::microseconds delay_;
  double nanoseconds_per_byte_;
  std::chrono::microseconds frame_;
  std::vector<Port> ports_;
  std::map<Address, size_t> known_;
};

}  // namespace

int main(int count, char** arguments) {
  if (count < 5) {
    std::fprintf(stderr, "usage: switch DELAY_MICROSECONDS RATE_MBIT FRAME_MICROSECONDS NAMESPACE_FILE...\n");
    return 2;
  }
  double rate = std::atof(arguments[2]);
  int own = open_file("/proc/self/ns/net", O_RDONLY);
  std::vector<Port> ports;
  for (int i = 4; i < count; ++i) {
    ports.push_back({make_device(arguments[i]), {}, {}});
    enter(own);
  }
  std::puts("ready");
  std::fflush(stdout);
  Switch(std::chrono::microseconds(std::atol(arguments[1])), rate > 0 ? 8000 / rate : 0,
         std::chrono::microseconds(std::atol(arguments[3])), std::move(ports))
      .run();
}
