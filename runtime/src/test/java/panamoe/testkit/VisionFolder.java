package panamoe.testkit;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import panamoe.io.StrictJson;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** A recorded text model in the folder of a model with a vision encoder, as publishers store it. */
public final class VisionFolder {
  /** Tensors of the other parts, of one element. */
  public static final int OTHERS = 3;

  private VisionFolder() {}

  /**
   * Writes such a folder.
   *
   * @param text the folder of a model of text alone
   * @param type the whole model's {@code model_type}
   * @param newer whether tensors are below {@code model.language_model} and {@code lm_head}, not
   *     {@code language_model.model} and {@code language_model.lm_head}
   * @param change of {@code config.json}
   */
  public static Path of(
      Path text, Path folder, String type, boolean newer, UnaryOperator<ObjectNode> change)
      throws IOException {
    Files.createDirectories(folder);
    ObjectNode own = (ObjectNode) StrictJson.tree(Files.readAllBytes(text.resolve("config.json")));
    ObjectNode config = JsonNodeFactory.instance.objectNode().put("model_type", type);
    for (String name : List.of("architectures", "torch_dtype", "eos_token_id")) {
      config.set(name, own.remove(name));
    }
    config.putObject("vision_config").put("hidden_size", 7);
    config.put("image_token_index", 5).set("text_config", own);
    Files.write(folder.resolve("config.json"), StrictJson.bytes(change.apply(config)));
    rename(text.resolve("model.safetensors"), folder.resolve("model.safetensors"), newer);
    return folder;
  }

  private static void rename(Path from, Path to, boolean newer) throws IOException {
    ByteBuffer file = ByteBuffer.wrap(Files.readAllBytes(from)).order(ByteOrder.LITTLE_ENDIAN);
    byte[] json = new byte[(int) file.getLong()];
    file.get(json);
    ObjectNode before = (ObjectNode) StrictJson.tree(json);
    before.remove("__metadata__");
    byte[] data = new byte[file.remaining()];
    file.get(data);
    ObjectNode header = JsonNodeFactory.instance.objectNode();
    for (String name : new ArrayList<>(before.propertyNames())) {
      header.set(
          newer
              ? name.replaceFirst("^model\\.", "model.language_model.")
              : "language_model." + name,
          before.get(name));
    }
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.writeBytes(data);
    for (String other :
        List.of("vision_tower.layers.0.w", "multi_modal_projector.w", "embed_vision.w")) {
      ObjectNode tensor = header.putObject(newer ? "model." + other : other).put("dtype", "F32");
      tensor.putArray("shape").add(1);
      tensor.putArray("data_offsets").add(bytes.size()).add(bytes.size() + Float.BYTES);
      bytes.writeBytes(new byte[Float.BYTES]);
    }
    byte[] text = header.toString().getBytes(StandardCharsets.UTF_8);
    ByteBuffer out = ByteBuffer.allocate(Long.BYTES + text.length + bytes.size());
    out.order(ByteOrder.LITTLE_ENDIAN).putLong(text.length).put(text).put(bytes.toByteArray());
    Files.write(to, out.array());
  }
}
