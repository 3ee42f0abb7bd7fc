package panamoe.checkpoint.torch;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Map;

/** Writes pickles of protocol 2, opcode by opcode, including hostile ones. */
final class PickleWriter {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  PickleWriter() {
    raw(0x80, 2);
  }

  PickleWriter raw(int... bytes) {
    for (int value : bytes) {
      out.write(value);
    }
    return this;
  }

  PickleWriter global(String module, String name) {
    out.writeBytes(("c" + module + "\n" + name + "\n").getBytes(US_ASCII));
    return this;
  }

  PickleWriter int32(int opcode, int value) {
    raw(opcode);
    out.writeBytes(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array());
    return this;
  }

  PickleWriter tuple(Object... items) {
    raw('(');
    for (Object item : items) {
      value(item);
    }
    return raw('t');
  }

  /** A map, list, string, number, boolean, null, or a {@link Tensor}. */
  PickleWriter value(Object value) {
    switch (value) {
      case null -> raw('N');
      case Boolean flag -> raw(flag ? 0x88 : 0x89);
      case Integer number -> int32('J', number);
      case Long number -> {
        raw(0x8a, 8);
        out.writeBytes(
            ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(number).array());
      }
      case Double number -> {
        raw('G');
        out.writeBytes(ByteBuffer.allocate(8).putDouble(number).array());
      }
      case String text -> {
        byte[] bytes = text.getBytes(UTF_8);
        int32('X', bytes.length);
        out.writeBytes(bytes);
      }
      case List<?> items -> {
        raw(']', '(');
        items.forEach(this::value);
        raw('e');
      }
      case Map<?, ?> map -> {
        raw('}');
        items(map);
      }
      case Namespace(Map<String, Object> values) -> {
        global("argparse", "Namespace").raw(')', 0x81, '}');
        items(values);
        raw('b');
      }
      case Tensor tensor -> tensor(tensor);
      default -> throw new IllegalArgumentException(value.toString());
    }
    return this;
  }

  private void items(Map<?, ?> map) {
    raw('(');
    map.forEach((key, value) -> value(key).value(value));
    raw('u');
  }

  /**
   * A tensor by its place in a storage.
   *
   * @param storage such as {@code FloatStorage}
   */
  record Tensor(
      String storage, String key, long count, long begin, List<Long> shape, List<Long> stride) {
    /** A whole storage, row by row. */
    static Tensor whole(String storage, String key, long... shape) {
      long count = 1;
      Long[] sizes = new Long[shape.length];
      Long[] stride = new Long[shape.length];
      for (int i = shape.length - 1; i >= 0; i--) {
        sizes[i] = shape[i];
        stride[i] = count;
        count *= shape[i];
      }
      return new Tensor(storage, key, count, 0, List.of(sizes), List.of(stride));
    }
  }

  private void tensor(Tensor tensor) {
    global("torch._utils", "_rebuild_tensor_v2");
    raw('(', '(');
    value("storage").global("torch", tensor.storage());
    value(tensor.key()).value("cpu").value(tensor.count());
    raw('t', 'Q').value(tensor.begin());
    tuple(tensor.shape().toArray()).tuple(tensor.stride().toArray()).value(false);
    global("collections", "OrderedDict").raw(')', 'R', 't', 'R');
  }

  byte[] done() {
    return raw('.').unfinished();
  }

  byte[] unfinished() {
    return out.toByteArray();
  }
}
