package panamoe.checkpoint.torch;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import panamoe.checkpoint.StoredType;
import panamoe.tensor.BFloat16;

/** Writes files like {@code torch.save}. */
public final class TorchFiles {
  /** Elements to be saved as a tensor. */
  public record Saved(StoredType type, float[] values, long... shape) {}

  private TorchFiles() {}

  /** Attributes of an {@code argparse.Namespace}. */
  public static Object namespace(Map<String, Object> values) {
    return new Namespace(values);
  }

  /** Writes maps, lists, strings, numbers and {@link Saved} tensors. */
  public static Path save(Path file, Object content) {
    List<Saved> tensors = new ArrayList<>();
    byte[] pickle = new PickleWriter().value(placed(content, tensors)).done();
    Map<String, byte[]> entries = new LinkedHashMap<>();
    entries.put("archive/data.pkl", pickle);
    entries.put("archive/byteorder", "little".getBytes(US_ASCII));
    for (int i = 0; i < tensors.size(); i++) {
      entries.put("archive/data/" + i, bytes(tensors.get(i)));
    }
    return zip(file, entries, ZipEntry.STORED);
  }

  private static Object placed(Object value, List<Saved> tensors) {
    return switch (value) {
      case Saved saved -> {
        String key = Integer.toString(tensors.size());
        tensors.add(saved);
        yield PickleWriter.Tensor.whole(storage(saved.type()), key, saved.shape());
      }
      case Map<?, ?> map -> {
        Map<Object, Object> placed = new LinkedHashMap<>();
        map.forEach((key, below) -> placed.put(key, placed(below, tensors)));
        yield placed;
      }
      case null, default -> value;
    };
  }

  private static String storage(StoredType type) {
    return switch (type.name()) {
      case "F64" -> "DoubleStorage";
      case "F32" -> "FloatStorage";
      case "F16" -> "HalfStorage";
      case "BF16" -> "BFloat16Storage";
      case "I64" -> "LongStorage";
      default -> throw new IllegalArgumentException(type.toString());
    };
  }

  private static byte[] bytes(Saved saved) {
    ByteBuffer out =
        ByteBuffer.allocate(saved.values().length * saved.type().bytes())
            .order(ByteOrder.LITTLE_ENDIAN);
    for (float value : saved.values()) {
      switch (saved.type().name()) {
        case "F64" -> out.putDouble(value);
        case "F32" -> out.putFloat(value);
        case "F16" -> out.putShort(Float.floatToFloat16(value));
        case "BF16" -> out.putShort(BFloat16.fromFloat(value));
        case "I64" -> out.putLong((long) value);
        default -> throw new IllegalArgumentException(saved.type().toString());
      }
    }
    return out.array();
  }

  static Path zip(Path file, Map<String, byte[]> entries, int method) {
    try (OutputStream out = Files.newOutputStream(file);
        ZipOutputStream zip = new ZipOutputStream(out)) {
      for (Map.Entry<String, byte[]> each : entries.entrySet()) {
        ZipEntry entry = new ZipEntry(each.getKey());
        entry.setMethod(method);
        if (method == ZipEntry.STORED) {
          CRC32 checksum = new CRC32();
          checksum.update(each.getValue());
          entry.setCrc(checksum.getValue());
          entry.setSize(each.getValue().length);
        }
        zip.putNextEntry(entry);
        zip.write(each.getValue());
      }
      return file;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
