package panamoe.lab.conformance;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Writes a recorded case by hand: float tensors with one dimension. */
final class RecordedCase {
  private final String kind;
  private final List<String> entries = new ArrayList<>();
  private final ByteArrayOutputStream data = new ByteArrayOutputStream();
  private String settings = "{}";

  RecordedCase(String kind) {
    this.kind = kind;
  }

  RecordedCase with(String name, float... values) {
    int begin = data.size();
    ByteBuffer bytes =
        ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : values) {
      bytes.putFloat(value);
    }
    data.writeBytes(bytes.array());
    entries.add(
        "\"%s\":{\"dtype\":\"F32\",\"shape\":[%d],\"data_offsets\":[%d,%d]}"
            .formatted(name, values.length, begin, data.size()));
    return this;
  }

  /** Settings of the case, as JSON. */
  RecordedCase with(ObjectNode json) {
    settings = json.toString();
    return this;
  }

  void write(Path file) throws IOException {
    ObjectNode metadata = JsonMapper.shared().createObjectNode();
    metadata.put("op", kind).put("golden", settings);
    entries.add("\"__metadata__\":" + metadata);
    byte[] header = ("{" + String.join(",", entries) + "}").getBytes(StandardCharsets.UTF_8);
    ByteBuffer all =
        ByteBuffer.allocate(Long.BYTES + header.length + data.size())
            .order(ByteOrder.LITTLE_ENDIAN);
    all.putLong(header.length).put(header).put(data.toByteArray());
    Files.write(file, all.array());
  }

  /** The result of a ReLU of (1, -2, 3), except that {@code last} replaces the third output. */
  static RecordedCase relu(float last) {
    return new RecordedCase("relu")
        .with("x", 1, -2, 3)
        .with("upstream", 1, 1, 0.5f)
        .with("out", 1, 0, last)
        .with("grad.x", 1, 0, 0.5f);
  }
}
