// A test-only library with the functions of NCCL that Panamoe calls, between threads of one process and on memory of
// the CPU, to test NcclCommunicator without a GPU. Nothing in it is NCCL's: the signatures follow NCCL's public
// documentation. It is as asynchronous as NCCL: an operation is done when the last rank has joined it. On the null
// stream no call waits, and until then the communicator is in progress. On a stream of the emulation of CUDA the
// operation is work of that stream, in order with its kernels, and buffers may be in its GPUs' memory. The child of a
// split is stored late, while its parent is polled. nccl_threads_be_late makes all calls so: they return before they
// have enqueued anything, which polls do later. Unlike NCCL it adds in rank order, and reports it if ranks disagree.

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <tuple>
#include <utility>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

enum Result { kSuccess = 0, kInvalidArgument = 4, kInvalidUsage = 5, kRemoteError = 6, kInProgress = 7 };
enum Type { kUint8 = 1, kFloat32 = 7 };
enum class Kind { kAllReduce, kAllGather, kReduceScatter, kBroadcast };

constexpr size_t kIdBytes = 128;
constexpr unsigned kConfigMagic = 0xcafebeef;

struct Id {
  char bytes[kIdBytes];
};

struct Config {
  size_t size;
  unsigned magic;
  unsigned version;
  int blocking;
};

struct Communicator;
struct Operation;

struct Message {
  char* memory;
  size_t bytes;
  Communicator* owner;
};

struct Collective {
  Kind kind;
  const char* send;
  char* receive;
  size_t count;
  int type;
  int root;
  Communicator* owner;

  bool fits(const Collective& other) const {
    return kind == other.kind && count == other.count && type == other.type && root == other.root;
  }
};

struct World {
  explicit World(int ranks) : members(ranks), collectives(ranks) {}

  void enter(int rank, Communicator* member) {
    members[rank] = member;
    ++arrived;
  }

  bool complete() const { return arrived == members.size(); }

  std::vector<Communicator*> members;  // null before they join and after they leave
  size_t arrived = 0;
  std::map<std::pair<int, int>, std::deque<Message>> sends;     // by sender and receiver
  std::map<std::pair<int, int>, std::deque<Message>> receives;  // by sender and receiver
  std::vector<std::deque<Collective>> collectives;              // per rank, those that not all ranks have joined
  struct Wish {
    Communicator* child;
    int color;
    int key;
    int rank;
  };
  std::vector<Wish> split;
};

struct Communicator {
  std::shared_ptr<World> world;  // null until a split has all its members
  int rank = 0;
  int error = kSuccess;
  int pending = 0;                       // operations that are not done
  bool streamed = false;                 // its operations are work of streams
  Communicator* child = nullptr;         // of a split in progress
  Communicator** child_place = nullptr;  // where the caller expects it
  int polls_before_child = 0;
  std::deque<std::vector<Operation>> postponed;  // calls that have returned, but not enqueued their operations
};

struct Operation {
  int peer;  // peer of a message; negative for collectives
  bool sends;
  Message message;
  Collective collective;
  void* stream;

  Communicator* owner() const { return peer < 0 ? collective.owner : message.owner; }
};

constexpr int kPollsOfSplit = 3;
constexpr std::chrono::seconds kPatience{60};  // how long a stream waits for ranks that do not join

std::mutex mutex;  // guards everything below, and the worlds
std::condition_variable changed;
std::map<uint64_t, std::weak_ptr<World>> worlds;
uint64_t next_id = 1;
bool fail_next = false;
uint64_t messages = 0, message_bytes = 0;  // so far
bool late = false;
int told_version = 23000;
std::minstd_rand chance;  // of a late call

thread_local int group_depth = 0;
thread_local std::vector<Operation> group;

size_t bytes_of(int type) { return type == kFloat32 ? sizeof(float) : 1; }

void fail_all(World& world, int error) {
  for (Communicator* member : world.members) {
    if (member != nullptr) member->error = error;
  }
}

void match(World& world, std::pair<int, int> link) {
  auto& sends = world.sends[link];
  auto& receives = world.receives[link];
  while (!sends.empty() && !receives.empty()) {
    const Message from = sends.front();
    const Message to = receives.front();
    sends.pop_front();
    receives.pop_front();
    if (from.bytes != to.bytes) {
      fail_all(world, kInvalidUsage);
      return;
    }
    std::memcpy(to.memory, from.memory, from.bytes);
    if (link.first != link.second) {
      ++messages;
      message_bytes += from.bytes;
    }
    --from.owner->pending;
    --to.owner->pending;
  }
}

// Elements `from` to `from + count` of the sum over all ranks in rank order.
std::vector<float> sum(const std::vector<Collective>& calls, size_t from, size_t count) {
  std::vector<float> total(count);
  for (size_t i = 0; i < count; ++i) {
    total[i] = reinterpret_cast<const float*>(calls[0].send)[from + i];
    for (size_t rank = 1; rank < calls.size(); ++rank) {
      total[i] += reinterpret_cast<const float*>(calls[rank].send)[from + i];
    }
  }
  return total;
}

void execute(const std::vector<Collective>& calls) {
  const size_t count = calls[0].count;
  const size_t bytes = count * bytes_of(calls[0].type);
  switch (calls[0].kind) {
    case Kind::kAllReduce: {
      const std::vector<float> total = sum(calls, 0, count);
      for (const Collective& call : calls) std::memcpy(call.receive, total.data(), bytes);
      break;
    }
    case Kind::kReduceScatter:
      for (size_t rank = 0; rank < calls.size(); ++rank) {
        std::memcpy(calls[rank].receive, sum(calls, rank * count, count).data(), bytes);
      }
      break;
    case Kind::kAllGather:
      for (const Collective& call : calls) {
        for (size_t rank = 0; rank < calls.size(); ++rank) {
          std::memmove(call.receive + rank * bytes, calls[rank].send, bytes);
        }
      }
      break;
    case Kind::kBroadcast:
      for (const Collective& call : calls) std::memmove(call.receive, calls[calls[0].root].send, bytes);
      break;
  }
}

void advance(World& world) {
  auto joined = [](const std::deque<Collective>& queue) { return !queue.empty(); };
  while (std::all_of(world.collectives.begin(), world.collectives.end(), joined)) {
    std::vector<Collective> calls;
    for (auto& queue : world.collectives) {
      calls.push_back(queue.front());
      queue.pop_front();
    }
    if (!std::all_of(calls.begin(), calls.end(), [&](const Collective& call) { return call.fits(calls[0]); })) {
      fail_all(world, kInvalidUsage);
      return;
    }
    execute(calls);
    for (const Collective& call : calls) --call.owner->pending;
  }
}

void launch(const Operation& operation) {
  changed.notify_all();
  World& world = *operation.owner()->world;
  const int rank = operation.owner()->rank;
  ++operation.owner()->pending;
  if (std::exchange(fail_next, false)) return fail_all(world, kRemoteError);
  if (operation.peer < 0) {
    world.collectives[rank].push_back(operation.collective);
    advance(world);
    return;
  }
  const std::pair<int, int> link = operation.sends ? std::pair(rank, operation.peer) : std::pair(operation.peer, rank);
  (operation.sends ? world.sends : world.receives)[link].push_back(operation.message);
  match(world, link);
}

// The work of a stream: waits until the operations, all of one communicator, are done.
void perform(const std::vector<Operation>& operations) {
  std::unique_lock lock(mutex);
  Communicator* owner = operations.front().owner();
  if (owner->error != kSuccess) return;
  for (const Operation& operation : operations) launch(operation);
  const auto over = [&] { return owner->pending == 0 || owner->error != kSuccess; };
  if (!changed.wait_for(lock, kPatience, over)) fail_all(*owner->world, kRemoteError);
  changed.notify_all();
}

void start(std::vector<Operation> operations) {
  if (operations.empty()) return;
  using Enqueue = void(void* stream, std::function<void()> work);
  static auto* const enqueue = [] {
    void* emulation = ::dlopen("libpanamoe_simt.so", RTLD_LAZY | RTLD_NOLOAD);
    return emulation == nullptr ? nullptr : reinterpret_cast<Enqueue*>(::dlsym(emulation, "simt_enqueue"));
  }();
  void* stream = operations.front().stream;
  if (stream != nullptr && enqueue != nullptr) {
    operations.front().owner()->streamed = true;
    enqueue(stream, [operations] { perform(operations); });
    return;
  }
  std::lock_guard lock(mutex);
  for (const Operation& operation : operations) launch(operation);
}

// Whether a call is late once more. The mutex is held.
bool lags() { return late && chance() % 2 == 0; }

// Starts operations of one communicator, or leaves it to a poll, which may take the links in another order.
int give(std::vector<Operation> operations) {
  if (operations.empty()) return kSuccess;
  {
    std::lock_guard lock(mutex);
    if (late) {
      const int first = static_cast<int>(chance() % 64);
      std::stable_sort(operations.begin(), operations.end(), [&](const Operation& a, const Operation& b) {
        return (a.peer ^ first) % 64 < (b.peer ^ first) % 64;
      });
      operations.front().owner()->postponed.push_back(std::move(operations));
      return kInProgress;
    }
  }
  start(std::move(operations));
  return kSuccess;
}

// Whether an operation may start.
int check(const Operation& operation) {
  std::lock_guard lock(mutex);
  const Communicator* communicator = operation.owner();
  if (communicator == nullptr || communicator->world == nullptr || !communicator->world->complete()) {
    return kInvalidArgument;
  }
  if (communicator->error != kSuccess) return communicator->error;
  return operation.peer < static_cast<int>(communicator->world->members.size()) ? kSuccess : kInvalidArgument;
}

int submit(const Operation& operation) {
  if (const int refused = check(operation); refused != kSuccess) return refused;
  if (group_depth > 0) {
    group.push_back(operation);
    std::lock_guard lock(mutex);
    return lags() ? kInProgress : kSuccess;
  }
  return give({operation});
}

int join(Kind kind, const void* send, void* receive, size_t count, int type, int root, Communicator* communicator,
         void* stream) {
  const bool adds = kind == Kind::kAllReduce || kind == Kind::kReduceScatter;
  if ((type != kFloat32 && type != kUint8) || (adds && type != kFloat32)) return kInvalidArgument;
  return submit({-1,
                 false,
                 {},
                 {kind, static_cast<const char*>(send), static_cast<char*>(receive), count, type, root, communicator},
                 stream});
}

bool valid(const Config* config) { return config != nullptr && config->magic == kConfigMagic && config->blocking == 0; }

// Gives the members of a split their worlds, ordered by key, then by rank.
void settle(std::vector<World::Wish> wishes) {
  std::stable_sort(wishes.begin(), wishes.end(), [](const World::Wish& a, const World::Wish& b) {
    return std::tuple(a.color, a.key, a.rank) < std::tuple(b.color, b.key, b.rank);
  });
  for (auto first = wishes.begin(); first != wishes.end();) {
    auto last = std::find_if(first, wishes.end(), [&](const World::Wish& wish) { return wish.color != first->color; });
    auto world = std::make_shared<World>(static_cast<int>(last - first));
    for (auto member = first; member != last; ++member) {
      member->child->rank = static_cast<int>(member - first);
      world->enter(member->child->rank, member->child);
      member->child->world = world;
    }
    first = last;
  }
}

// Whether a communicator still waits for the child of its split. NCCL's thread may take any time after all ranks have
// asked; here it takes a number of polls.
bool splitting(Communicator& parent) {
  if (parent.child == nullptr) return false;
  if (parent.child->world == nullptr || --parent.polls_before_child > 0) return true;
  *parent.child_place = std::exchange(parent.child, nullptr);
  return false;
}

void leave(Communicator* communicator) {
  if (communicator->world == nullptr) return;
  World& world = *communicator->world;
  for (auto* messages : {&world.sends, &world.receives}) {
    for (auto& [link, queue] : *messages) {
      const bool own = (messages == &world.sends ? link.first : link.second) == communicator->rank;
      if (own) queue.clear();  // their memory may be gone
    }
  }
  world.collectives[communicator->rank].clear();
  world.members[communicator->rank] = nullptr;
}

}  // namespace

EXPORT int ncclGetVersion(int* version) {
  *version = told_version;
  return kSuccess;
}

EXPORT int ncclGetUniqueId(Id* id) {
  std::lock_guard lock(mutex);
  std::memset(id, 0, sizeof *id);
  std::memcpy(id->bytes, &next_id, sizeof next_id);
  ++next_id;
  return kSuccess;
}

EXPORT int ncclCommInitRankConfig(Communicator** communicator, int ranks, Id id, int rank, const Config* config) {
  if (!valid(config) || rank < 0 || rank >= ranks) return kInvalidArgument;
  std::lock_guard lock(mutex);
  uint64_t number;
  std::memcpy(&number, id.bytes, sizeof number);
  std::shared_ptr<World> world = worlds[number].lock();
  if (world == nullptr) worlds[number] = world = std::make_shared<World>(ranks);
  *communicator = new Communicator;
  (*communicator)->world = world;
  (*communicator)->rank = rank;
  world->enter(rank, *communicator);
  return kInProgress;
}

EXPORT int ncclCommSplit(Communicator* communicator, int color, int key, Communicator** child, const Config* config) {
  if (!valid(config) || color < 0) return kInvalidArgument;
  std::lock_guard lock(mutex);
  World& world = *communicator->world;
  *child = nullptr;
  communicator->child = new Communicator;
  communicator->child_place = child;
  communicator->polls_before_child = kPollsOfSplit;
  world.split.push_back({communicator->child, color, key, communicator->rank});
  if (world.split.size() == world.members.size()) settle(std::exchange(world.split, {}));
  return kInProgress;
}

EXPORT int ncclCommGetAsyncError(Communicator* communicator, int* error) {
  if (communicator == nullptr) return kInvalidArgument;
  std::unique_lock lock(mutex);
  *error = kInProgress;
  if (communicator->error == kSuccess && lags()) return kSuccess;
  if (!communicator->postponed.empty()) {
    std::vector<Operation> next = std::move(communicator->postponed.front());
    communicator->postponed.pop_front();
    lock.unlock();
    start(std::move(next));
    return kSuccess;
  }
  if (splitting(*communicator)) {
    *error = communicator->error != kSuccess ? communicator->error : kInProgress;
    return kSuccess;
  }
  const bool ready = communicator->error != kSuccess || (communicator->world && communicator->world->complete() &&
                                                         (communicator->streamed || communicator->pending == 0));
  *error = ready ? communicator->error : static_cast<int>(kInProgress);
  return kSuccess;
}

EXPORT int ncclCommFinalize(Communicator*) { return kSuccess; }

EXPORT int ncclCommAbort(Communicator* communicator) {
  std::lock_guard lock(mutex);
  leave(communicator);
  if (communicator->streamed) {  // streams may still have its operations, which end here
    communicator->error = kRemoteError;
    changed.notify_all();
  } else {
    delete communicator;
  }
  return kSuccess;
}

EXPORT int ncclCommDestroy(Communicator* communicator) { return ncclCommAbort(communicator); }

EXPORT const char* ncclGetErrorString(int result) {
  switch (result) {
    case kSuccess: return "no error";
    case kInvalidArgument: return "invalid argument";
    case kInvalidUsage: return "invalid usage";
    case kRemoteError: return "remote process exited or there was a network error";
    case kInProgress: return "operation in progress";
    default: return "unknown result code";
  }
}

EXPORT const char* ncclGetLastError(const Communicator*) { return ""; }

EXPORT int ncclGroupStart() {
  ++group_depth;
  return kSuccess;
}

EXPORT int ncclGroupEnd() {
  if (group_depth == 0) return kInvalidUsage;
  if (--group_depth > 0) return kSuccess;
  return give(std::exchange(group, {}));
}

EXPORT int ncclSend(const void* send, size_t count, int type, int peer, Communicator* communicator, void* stream) {
  if (peer < 0) return kInvalidArgument;
  char* memory = const_cast<char*>(static_cast<const char*>(send));
  return submit({peer, true, {memory, count * bytes_of(type), communicator}, {}, stream});
}

EXPORT int ncclRecv(void* receive, size_t count, int type, int peer, Communicator* communicator, void* stream) {
  if (peer < 0) return kInvalidArgument;
  return submit({peer, false, {static_cast<char*>(receive), count * bytes_of(type), communicator}, {}, stream});
}

EXPORT int ncclAllReduce(const void* send, void* receive, size_t count, int type, int, Communicator* communicator,
                         void* stream) {
  return join(Kind::kAllReduce, send, receive, count, type, 0, communicator, stream);
}

EXPORT int ncclReduceScatter(const void* send, void* receive, size_t count, int type, int, Communicator* communicator,
                             void* stream) {
  return join(Kind::kReduceScatter, send, receive, count, type, 0, communicator, stream);
}

EXPORT int ncclAllGather(const void* send, void* receive, size_t count, int type, Communicator* communicator,
                         void* stream) {
  return join(Kind::kAllGather, send, receive, count, type, 0, communicator, stream);
}

EXPORT int ncclBroadcast(const void* send, void* receive, size_t count, int type, int root, Communicator* communicator,
                         void* stream) {
  return join(Kind::kBroadcast, send, receive, count, type, root, communicator, stream);
}

// For tests: the next operation of any rank ends in an asynchronous error of its communicator.
EXPORT void nccl_threads_fail_next() {
  std::lock_guard lock(mutex);
  fail_next = true;
}

// For tests: from now on calls return early and polls report progress at random, by a seed; 0 ends it.
EXPORT void nccl_threads_be_late(int seed) {
  std::lock_guard lock(mutex);
  late = seed != 0;
  chance.seed(static_cast<unsigned>(seed));
}

// For tests: the version that this library claims to be.
EXPORT void nccl_threads_be_version(int version) { told_version = version; }

// For tests: the number of messages between ranks so far, and their bytes.
EXPORT void nccl_threads_messages(uint64_t* counts) {
  std::lock_guard lock(mutex);
  counts[0] = messages;
  counts[1] = message_bytes;
}
