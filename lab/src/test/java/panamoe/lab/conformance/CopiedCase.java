package panamoe.lab.conformance;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Consumer;
import java.util.stream.Stream;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.lab.conformance.replay.CaseResult;
import panamoe.lab.conformance.replay.Conformance;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** A copy of a recorded case that a test can change. */
record CopiedCase(Path file) {
  private static final JsonMapper JSON = JsonMapper.shared();
  private static final String METADATA = "__metadata__";

  /** Copies a case, with the files of its model. */
  static CopiedCase of(Path folder, String name) throws IOException {
    Path from = RecordedCasesTest.folder().resolve(name);
    String model = from.getFileName().toString().replace(".safetensors", ".gguf");
    boolean alone = from.getFileName().toString().startsWith("golden");
    try (Stream<Path> files = Files.list(from.getParent())) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        if (alone || file.equals(from) || file.endsWith(model)) {
          Files.copy(file, folder.resolve(file.getFileName()));
        }
      }
    }
    return new CopiedCase(folder.resolve(from.getFileName()));
  }

  CaseResult replayed(String device) {
    try (Backend backend = Backends.open(device, 1)) {
      return new Conformance(file.getParent(), backend, CaseKinds::of).replay(file);
    }
  }

  /** Changes the header: tensors and metadata. */
  void change(Consumer<ObjectNode> header) throws IOException {
    ByteBuffer all = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    byte[] json = new byte[(int) all.getLong()];
    all.get(json);
    ObjectNode changed = (ObjectNode) JSON.readTree(json);
    header.accept(changed);
    byte[] bytes = JSON.writeValueAsBytes(changed);
    ByteBuffer out =
        ByteBuffer.allocate(Long.BYTES + bytes.length + all.remaining())
            .order(ByteOrder.LITTLE_ENDIAN);
    Files.write(file, out.putLong(bytes.length).put(bytes).put(all).array());
  }

  /** Gives the case another kind. */
  void rename(String op) throws IOException {
    change(header -> header.withObject("/" + METADATA).put("op", op));
  }

  void changeSettings(Consumer<ObjectNode> settings) throws IOException {
    change(
        header -> {
          ObjectNode metadata = (ObjectNode) header.get(METADATA);
          ObjectNode golden = tree(metadata.path("golden").asString());
          settings.accept(golden);
          metadata.put("golden", golden.toString());
        });
  }

  private static ObjectNode tree(String json) {
    return (ObjectNode) JSON.readTree(json);
  }

  /** Adds to an element of a float tensor. */
  void add(String tensor, int index, float what) throws IOException {
    ByteBuffer all = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    int data = Long.BYTES + (int) all.getLong(0);
    int from =
        JSON.readTree(all.array(), Long.BYTES, data - Long.BYTES)
            .path(tensor)
            .path("data_offsets")
            .path(0)
            .asInt();
    int at = data + from + index * Float.BYTES;
    all.putFloat(at, all.getFloat(at) + what);
    Files.write(file, all.array());
  }
}
