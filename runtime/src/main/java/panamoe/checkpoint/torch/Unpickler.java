package panamoe.checkpoint.torch;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.checkpoint.CheckpointException;

/**
 * Reads a pickle of protocol 2 as plain data: {@code Map}, {@code List} (tuples and sets too),
 * {@code String}, {@code Long}, {@code BigInteger}, {@code Double}, {@code Boolean}, null, {@link
 * TorchTensor}, {@link Namespace}. It has a stack and a memo, knows the opcodes below and the names
 * of {@link PickleGlobal}, runs no code and refuses all else. It does not recurse, and the number
 * of values is limited.
 */
final class Unpickler {
  private static final int MOST_VALUES = 1_000_000;

  /** Stands for a value that was dropped. */
  private static final Object DROPPED = new PickleGlobal(PickleGlobal.Kind.DROPPED, null);

  private final PickleInput in;
  private final TensorPickles tensors;
  private final List<Object> stack = new ArrayList<>();
  private final List<Integer> marks = new ArrayList<>();
  private final Map<Integer, Object> memo = new HashMap<>();
  private int values;

  private Unpickler(PickleInput in) {
    this.in = in;
    this.tensors = new TensorPickles(in);
  }

  /**
   * @param source for messages
   * @throws CheckpointException if it is not such a pickle
   */
  static Object read(byte[] pickle, String source) {
    return new Unpickler(new PickleInput(pickle, source)).run();
  }

  private Object run() {
    if (in.uint8() != 0x80 || in.uint8() != 2) {
      throw in.bad("is not a pickle of protocol 2");
    }
    for (int opcode = in.uint8(); opcode != '.'; opcode = in.uint8()) {
      step(opcode);
    }
    Object result = pop();
    if (!stack.isEmpty()) {
      throw in.bad("leaves " + stack.size() + " values behind");
    }
    return result;
  }

  private void step(int opcode) {
    switch (opcode) {
      case '(' -> {
        count();
        marks.add(stack.size());
      }
      case 'N' -> push(null);
      case 0x88 -> push(true);
      case 0x89 -> push(false);
      case 'K' -> push((long) in.uint8());
      case 'M' -> push((long) in.uint16());
      case 'J' -> push((long) in.int32());
      case 0x8a -> push(in.integer(in.uint8()));
      case 'G' -> push(in.float64());
      case 'X' -> push(in.utf8(in.int32()));
      case '}' -> push(new LinkedHashMap<>());
      case ']' -> push(new ArrayList<>());
      case ')' -> push(List.of());
      case 't' -> push(tuple(sinceMark()));
      case 0x85 -> push(tuple(top(1)));
      case 0x86 -> push(tuple(top(2)));
      case 0x87 -> push(tuple(top(3)));
      case 'a' -> append(top(1));
      case 'e' -> append(sinceMark());
      case 's' -> put(top(2));
      case 'u' -> put(sinceMark());
      case 'q' -> memo(in.uint8());
      case 'r' -> memo(in.int32());
      case 'h' -> push(remembered(in.uint8()));
      case 'j' -> push(remembered(in.int32()));
      case 'c' -> push(global(in.line(), in.line()));
      case 'Q' -> push(tensors.storage(pop()));
      case 'R', 0x81 -> {
        Object arguments = pop();
        push(made(pop(), arguments));
      }
      case 'b' -> build(pop());
      default ->
          throw in.bad("has the opcode 0x" + Integer.toHexString(opcode) + ", which is not read");
    }
  }

  private void count() {
    if (++values > MOST_VALUES) {
      throw in.bad("has more than " + MOST_VALUES + " values");
    }
  }

  private void push(Object value) {
    count();
    stack.add(value);
  }

  private Object pop() {
    return top(1).getFirst();
  }

  private int floor() {
    return marks.isEmpty() ? 0 : marks.getLast();
  }

  private List<Object> top(int size) {
    if (stack.size() - floor() < size) {
      throw in.bad("takes a value where there is none");
    }
    return from(stack.size() - size);
  }

  private List<Object> sinceMark() {
    if (marks.isEmpty()) {
      throw in.bad("takes values where there are none");
    }
    return from(marks.removeLast());
  }

  private List<Object> from(int begin) {
    List<Object> end = stack.subList(begin, stack.size());
    List<Object> taken = new ArrayList<>(end);
    end.clear();
    return taken;
  }

  private static List<Object> tuple(List<Object> items) {
    return Collections.unmodifiableList(items);
  }

  private Object peek() {
    if (stack.size() == floor()) {
      throw in.bad("takes a value where there is none");
    }
    return stack.getLast();
  }

  @SuppressWarnings("unchecked")
  private void append(List<Object> items) {
    if (peek() instanceof ArrayList<?> list) {
      ((ArrayList<Object>) list).addAll(items);
    } else {
      throw in.bad("appends to what is no list");
    }
  }

  @SuppressWarnings("unchecked")
  private void put(List<Object> pairs) {
    if (!(peek() instanceof Map<?, ?> map) || pairs.size() % 2 != 0) {
      throw in.bad("sets an item of what is no dictionary");
    }
    for (int i = 0; i < pairs.size(); i += 2) {
      Object key = pairs.get(i);
      if (!(key instanceof String || key instanceof Number || key instanceof Boolean)) {
        throw in.bad("has a dictionary's key that is neither a text nor a number");
      }
      ((Map<Object, Object>) map).put(key, pairs.get(i + 1));
    }
  }

  private void memo(int index) {
    count();
    memo.put(index, peek());
  }

  private Object remembered(int index) {
    if (!memo.containsKey(index)) {
      throw in.bad("recalls value " + index + ", which it never stored");
    }
    return memo.get(index);
  }

  private PickleGlobal global(String module, String name) {
    PickleGlobal global = PickleGlobal.named(module, name);
    if (global == null) {
      throw in.bad(
          "names " + module + "." + name + ", which is not among what is read from such files");
    }
    return global;
  }

  /** The value of a call of a name with arguments. */
  private Object made(Object callee, Object arguments) {
    if (!(callee instanceof PickleGlobal(PickleGlobal.Kind kind, _))
        || !(arguments instanceof List<?> given)) {
      throw in.bad("calls what is no name");
    }
    return switch (kind) {
      case ORDERED_DICT -> {
        requireNone(given);
        yield new LinkedHashMap<>();
      }
      case NAMESPACE -> {
        requireNone(given);
        yield new Namespace();
      }
      case REBUILD_TENSOR -> tensors.tensor(given);
      case REBUILD_PARAMETER -> tensors.parameter(given);
      case SIZE, SET -> {
        if (given.size() == 1 && given.getFirst() instanceof List<?> items) {
          yield items;
        }
        throw in.bad("has a size or set that is none");
      }
      case DROPPED -> DROPPED;
      case STORAGE -> throw in.bad("has a storage with elements of its own");
    };
  }

  private void requireNone(List<?> arguments) {
    if (!arguments.isEmpty()) {
      throw in.bad("makes a dictionary or namespace with arguments");
    }
  }

  /** Sets the attributes of the value on top of the stack. */
  private void build(Object state) {
    Object target = peek();
    switch (target) {
      case Namespace(Map<String, Object> attributes) when state instanceof Map<?, ?> map ->
          map.forEach(
              (name, value) -> {
                if (!(name instanceof String text)) {
                  throw in.bad("has an attribute whose name is no text");
                }
                attributes.put(text, value);
              });
      case Map<?, ?> _ -> {} // the _metadata of a state dictionary
      case PickleGlobal global when global == DROPPED -> {}
      case null, default -> throw in.bad("sets attributes of what has none");
    }
  }
}
