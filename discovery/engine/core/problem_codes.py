"""Every kind of problem, declared once: advice, the check it belongs to, and its effect.

A kind that is not declared here (plugins bring their own) has no advice; its errors count for
``header_parses``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProblemCode:
    """One kind of problem.

    ``advice`` is a sentence that says what to do. ``check`` is the name of the check that reports
    it. Errors that are ``unsafe`` make a model UNSAFE rather than CORRUPT. ``absent``: a weight
    file has no content yet. ``unseen``: the content of a file was not fully inspected, so it may
    contain a pickle.
    """

    advice: str
    check: str = ""
    unsafe: bool = False
    absent: bool = False
    unseen: bool = False


_AGAIN = "Download the file again, then scan."

PROBLEM_CODES: dict[str, ProblemCode] = {
    "plugin_failed": ProblemCode(
        "Correct the plugin, or switch it off on the Plugins page; then scan."
    ),
    "plugin_answer_invalid": ProblemCode(
        "Correct the plugin so that it returns what its documentation describes; then scan."
    ),
    "plugin_finding": ProblemCode(
        "A discovery plugin reported this. Its author can say what to do about it."
    ),
    "file_empty": ProblemCode(_AGAIN, check="weights_present", absent=True, unseen=True),
    "lfs_pointer": ProblemCode(
        "Run “git lfs pull” in the model's folder, or download the file again; then scan.",
        check="weights_present",
        absent=True,
        unseen=True,
    ),
    "shards_missing": ProblemCode(
        "Download the missing files into the same folder, then scan.",
        check="shards_complete",
        absent=True,
        unseen=True,
    ),
    "component_missing": ProblemCode(
        "Download the missing folder of the model, then scan.", check="shards_complete"
    ),
    "pieces_unjoined": ProblemCode(
        "Join the pieces into one file as their publisher says, then scan.",
        check="shards_complete",
    ),
    "truncated": ProblemCode(
        "The download broke off: resume it or download the file again, then scan.",
        check="size_matches_header",
    ),
    "invalid_header": ProblemCode(_AGAIN, check="header_parses", unseen=True),
    "not_this_format": ProblemCode(
        "Look at what the file really is: often a saved web page or a renamed file. Download"
        " it again, then scan.",
        check="header_parses",
        unseen=True,
    ),
    "file_unreadable": ProblemCode(
        "Give the user that runs Karen Admin the right to read it, then scan.",
        check="path_readable",
        absent=True,
        unseen=True,
    ),
    "folder_unreadable": ProblemCode(
        "Give the user that runs Karen Admin the right to read it, then scan.",
        check="path_readable",
        unseen=True,
    ),
    "external_data_missing": ProblemCode(
        "Put the data file back beside the ONNX file, under the name that the ONNX file"
        " gives, then scan.",
        check="shards_complete",
    ),
    "external_data_outside": ProblemCode(
        "Do not load this file. Export the model again with its data in the same folder.",
        check="external_data_inside",
        unsafe=True,
    ),
    "tensors_missing": ProblemCode(
        "Download the weight files and their index from the same revision again, then scan.",
        check="shards_complete",
    ),
    "weights_missing": ProblemCode(
        "Download the weight files into this folder, then scan.",
        check="weights_present",
        absent=True,
        unseen=True,
    ),
    "blob_missing": ProblemCode(
        "Pull the model again with Ollama, then scan.",
        check="weights_present",
        absent=True,
        unseen=True,
    ),
    "unsafe_pickle": ProblemCode(
        "Do not load this file. Get the model as safetensors, or from a source you trust.",
        check="pickle_safe",
        unsafe=True,
    ),
    "unsafe_import": ProblemCode(
        "Do not load this file. Get the model as safetensors, or from a source you trust.",
        check="no_remote_code",
        unsafe=True,
    ),
    "pickle_in_disguise": ProblemCode(
        "Do not load this file. Get the model from a source you trust.",
        check="pickle_safe",
        unsafe=True,
    ),
    "lambda_layer": ProblemCode(
        "Do not load this model unless you trust who made it: loading it runs its code.",
        check="no_remote_code",
        unsafe=True,
    ),
    "archive_unchecked": ProblemCode(
        "Unpack it where nothing can be harmed, or get the model as safetensors.",
        check="pickle_safe",
        unseen=True,
    ),
    "archive_tampered": ProblemCode(
        "Do not unpack or load this file. Get the model from a source you trust.",
        check="pickle_safe",
        unsafe=True,
    ),
    "unknown_import": ProblemCode(
        "Find out what the class does and who wrote it before you load this file; safetensors"
        " needs no such trust.",
        check="pickle_safe",
    ),
    "known_import": ProblemCode(
        "Load it only with a version of that library that you trust, or ask for the model in"
        " a format without pickles.",
        check="pickle_safe",
    ),
    "files_unchecked": ProblemCode(
        "Move files that do not belong to the model out of its folder, then scan.",
        unseen=True,
    ),
    "executable_file": ProblemCode(
        "Find out why it lies here, and delete it if nothing needs it.",
        check="no_remote_code",
    ),
    "remote_code": ProblemCode(
        "Read that code before you let a program trust it, or use a model that needs none.",
        check="no_remote_code",
    ),
    "unsafe_config": ProblemCode(
        "Do not load this model: loading it would run what the file names. Get it from a"
        " source you trust.",
        check="no_remote_code",
        unsafe=True,
    ),
    "config_unchecked": ProblemCode(
        "Read the file before you load the model: nothing has looked at what it names.",
        check="no_remote_code",
    ),
    "foreign_import": ProblemCode(
        "Read the code of that class before you load the model.",
        check="no_remote_code",
    ),
    "unsafe_template": ProblemCode(
        "Do not serve this model with its template: replace the template, or get the model"
        " from a source you trust.",
        check="no_remote_code",
        unsafe=True,
    ),
    "odd_template": ProblemCode(
        "Look at the template before you serve the model with it.",
        check="no_remote_code",
    ),
    "python_op": ProblemCode(
        "Do not load this model unless you trust who made it: it calls Python functions of"
        " its own.",
        check="no_remote_code",
        unsafe=True,
    ),
    "file_op": ProblemCode(
        "Find out which files it means before you serve the model.",
        check="no_remote_code",
    ),
    "graph_unchecked": ProblemCode(
        "Look at the graph with TensorFlow's own tools before you trust it.",
        check="no_remote_code",
    ),
    "torchscript_code": ProblemCode(
        "Loading a TorchScript program runs it: trust its author before you do.",
        check="no_remote_code",
    ),
    "config_invalid": ProblemCode(
        "Mend the file or download it again, then scan.",
        check="config_parses",
    ),
    "config_wrong_type": ProblemCode(
        "Correct the value in the file, then scan.",
        check="config_parses",
    ),
    "sidecar_invalid": ProblemCode(
        "Mend the file or download it again, then scan.",
        check="config_parses",
    ),
    "index_invalid": ProblemCode(
        "Download the index again from the same revision as the weights, then scan.",
        check="config_parses",
    ),
    "index_outside": ProblemCode(
        "Do not load this model. Download its index again from a source you trust.",
        check="external_data_inside",
    ),
    "metadata_invalid": ProblemCode("Correct metadata.json, then scan.", check="config_parses"),
    "card_invalid": ProblemCode(
        "Correct the front matter of README.md, then scan.", check="card_present"
    ),
    "link_dangling": ProblemCode(
        "Restore the file that the link points to, or remove the link.",
        check="path_readable",
    ),
    "link_leaves_root": ProblemCode(
        "Move the files below the root, or make the place they are in a root of its own.",
        check="external_data_inside",
    ),
    "format_unknown": ProblemCode(
        "Trust its author, or keep it in a format that can be read, such as safetensors or GGUF.",
        check="header_parses",
    ),
    "unknown_tensor_type": ProblemCode(
        "Update Karen Admin, or use a more common quantization.",
        check="dtype_known",
    ),
    "model_missing": ProblemCode(
        "Put the files back and scan, or forget the model if it is gone for good.",
    ),
    "checksum_mismatch": ProblemCode(
        "The file is not what was published: download it again, then validate deeply.",
    ),
    "checksum_list_invalid": ProblemCode(
        "Correct the list of checksums, or remove it if it belongs to something else; then"
        " validate deeply.",
    ),
    "bit_rot": ProblemCode(
        "The bytes changed while size and time did not: the disk may be failing. Restore the"
        " file from a backup, and check the disk.",
    ),
    "nonfinite_weights": ProblemCode(
        "Weights that are not numbers make every answer wrong: get the file again, or tell its"
        " author.",
    ),
    "load_failed": ProblemCode(
        "Read the reason, then check the file, or the version of the library that loads it.",
    ),
    "internal_error": ProblemCode(
        "Nothing is wrong with the file as far as is known: report the error, with the line"
        " of the log.",
        check="path_readable",
    ),
    "tensor_invalid": ProblemCode(_AGAIN, check="tensor_bounds"),
    "tensor_bounds": ProblemCode(_AGAIN, check="tensor_bounds"),
    "invalid_pickle": ProblemCode(_AGAIN, check="header_parses"),
    "trailing_data": ProblemCode(
        "Look at what follows: nothing that loads the file needs it.",
        check="header_parses",
    ),
    "external_data_invalid": ProblemCode(
        "Export the model again: its file and its data do not belong together.",
        check="tensor_bounds",
    ),
    "opset_missing": ProblemCode(_AGAIN, check="header_parses"),
    "root_model_missing": ProblemCode(
        "Export the package again: its manifest is not whole.",
        check="header_parses",
    ),
    "unknown_layout": ProblemCode(
        "Convert the model to GGUF to learn more about it.",
        check="header_parses",
    ),
    "dtype_unknown": ProblemCode(
        "Update Karen Admin, or export the model again with a more common type.",
        check="dtype_known",
    ),
    "config_contradicts": ProblemCode(
        "Find out which of the two is right, and mend or remove the other; then scan.",
        check="config_parses",
    ),
    "link_unreachable": ProblemCode(
        "Give the user that runs Karen Admin the right to follow it, or bring back the place"
        " that it points to; then scan.",
    ),
    "too_deep": ProblemCode(
        "If models lie there, raise max_scan_depth in model_discovery.json or make that"
        " folder a root of its own; then scan.",
    ),
    "path_too_long": ProblemCode("Move the model to a shorter path, then scan."),
    "custom_operators": ProblemCode(
        "Before you serve the model, install the library of these operators for your runtime,"
        " from a source you trust.",
    ),
    "not_a_model": ProblemCode(
        "Nothing, unless it should be one: then put back the files that are missing.",
    ),
    "not_a_file": ProblemCode(
        "Put a file in its place, or remove it; then scan.",
        check="path_readable",
    ),
    "file_missing": ProblemCode(
        "Put the file back, or scan so that the registry follows the disk.",
        check="weights_present",
        unseen=True,
    ),
}

#: Problems that make a model UNSAFE rather than CORRUPT.
UNSAFE_CODES = frozenset(code for code, each in PROBLEM_CODES.items() if each.unsafe)


def advice(code: str) -> str:
    """What to do about a problem; empty for a kind that is not declared."""
    return PROBLEM_CODES[code].advice if code in PROBLEM_CODES else ""
